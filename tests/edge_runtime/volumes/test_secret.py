"""edge_runtime/volumes/secret.py."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.volume import pod_volumes
from edge_runtime.volumes import projected_files
from edge_runtime.volumes.mount_syscalls import read_mounts, unmount
from edge_runtime.volumes.mount_table import mount_at
from edge_runtime.volumes.plugin import VolumeError
from edge_runtime.volumes.referenced_objects import ReferencedObjects
from edge_runtime.volumes.secret import SecretPlugin
from tests.fakes.memory_objects import MemoryObjects, secret_of

if TYPE_CHECKING:
    from pathlib import Path


def pod_of(**source: Any) -> Pod:  # noqa: ANN401  # JSON
    """Return a pod with one volume."""
    volumes = [{"name": "s", "secret": {"secretName": "login", **source}}]
    metadata = {"name": "p", "namespace": "default", "uid": "u"}
    return Pod({"metadata": metadata, "spec": {"volumes": volumes}})


@pytest.fixture
def objects() -> MemoryObjects:
    """What the provider told."""
    return MemoryObjects()


async def set_up(objects: MemoryObjects, pod: Pod, folder: Path) -> None:
    """Set the pod's volume up."""
    (volume,) = pod_volumes(pod)
    plugin = SecretPlugin(ReferencedObjects(objects, wait_s=0.01))
    mounted = await plugin.set_up(pod, volume, folder)
    assert mounted.read_only
    assert mounted.host_path == str(folder)


async def test_a_secret_is_only_in_memory(objects: MemoryObjects, mountable: Path) -> None:
    """What is below the mount, on the disk, never holds anything."""
    objects.put("Secret", "login", secret_of(password="hunter2"))
    folder = mountable / "s"
    for _ in range(2):
        await set_up(objects, pod_of(defaultMode=0o400), folder)
    found = mount_at(read_mounts(), str(folder))
    assert found is not None
    assert found.fs_type == "tmpfs"
    assert (folder / "password").read_text() == "hunter2"
    assert stat.S_IMODE((folder / "password").stat().st_mode) == 0o400
    unmount(folder)
    assert list(folder.iterdir()) == []


async def test_what_memory_lost_is_made_again(objects: MemoryObjects, mountable: Path) -> None:
    """After a reboot."""
    objects.put("Secret", "login", secret_of(password="hunter2"))
    await set_up(objects, pod_of(), mountable / "s")
    unmount(mountable / "s")
    await set_up(objects, pod_of(), mountable / "s")
    assert (mountable / "s" / "password").read_text() == "hunter2"
    assert mount_at(read_mounts(), str(mountable / "s")) is not None


async def test_without_memory_nothing_is_written(
    objects: MemoryObjects, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that lets us mount nothing must not get the secret on its disk instead."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(projected_files, "mount_tmpfs", refuse)
    objects.put("Secret", "login", secret_of(password="hunter2"))
    with pytest.raises(PermissionError):
        await set_up(objects, pod_of(), tmp_path / "s")
    assert list((tmp_path / "s").iterdir()) == []


async def test_a_missing_secret_or_key_is_told(objects: MemoryObjects, mountable: Path) -> None:
    """In a kubelet's words."""
    objects.put("Secret", "login", None)
    with pytest.raises(VolumeError, match=r'^secret "login" not found$'):
        await set_up(objects, pod_of(), mountable / "s")
    objects.put("Secret", "login", secret_of(user="me"))
    items = [{"key": "password", "path": "p"}]
    with pytest.raises(VolumeError, match="references non-existent secret key: password"):
        await set_up(objects, pod_of(items=items), mountable / "s")
    await set_up(objects, pod_of(items=items, optional=True), mountable / "s")
    assert not (mountable / "s" / "p").exists()


async def test_it_follows_its_secret(objects: MemoryObjects, mountable: Path) -> None:
    """And what was there before is gone from memory."""
    objects.put("Secret", "login", secret_of(password="old-one"))
    await set_up(objects, pod_of(), mountable / "s")
    objects.put("Secret", "login", secret_of(password="new"))
    await set_up(objects, pod_of(), mountable / "s")
    assert (mountable / "s" / "password").read_text() == "new"
    files = [each for each in (mountable / "s").rglob("*") if each.is_file()]
    assert {each.read_text() for each in files} == {"new"}
