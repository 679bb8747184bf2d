"""edge_runtime/volumes/config_map.py, and with it the files and the objects below it."""

from __future__ import annotations

import base64
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.volume import MountedVolume, pod_volumes
from edge_runtime.volumes.config_map import ConfigMapPlugin
from edge_runtime.volumes.plugin import VolumeError
from edge_runtime.volumes.projected_files import nested_mount_points
from edge_runtime.volumes.referenced_objects import ReferencedObjects
from tests.fakes.memory_objects import MemoryObjects

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]


def pod_of(source: Json, *, spec: Json | None = None) -> Pod:
    """Return a pod with one volume."""
    volumes = [{"name": "cfg", "configMap": {"name": "settings", **source}}]
    metadata = {"name": "p", "namespace": "default", "uid": "u"}
    return Pod({"metadata": metadata, "spec": {**(spec or {}), "volumes": volumes}})


@pytest.fixture
def objects() -> MemoryObjects:
    """What the provider told."""
    return MemoryObjects()


@pytest.fixture
def plugin(objects: MemoryObjects) -> ConfigMapPlugin:
    """The plugin; it waits for nobody."""
    return ConfigMapPlugin(ReferencedObjects(objects, wait_s=0.01))


async def set_up(plugin: ConfigMapPlugin, pod: Pod, folder: Path) -> MountedVolume:
    """Set the pod's volume up."""
    (volume,) = pod_volumes(pod)
    return await plugin.set_up(pod, volume, folder)


async def test_its_keys_are_files_that_follow_it(
    plugin: ConfigMapPlugin, objects: MemoryObjects, tmp_path: Path
) -> None:
    """A change is seen at the next look; containers cannot write."""
    objects.put("ConfigMap", "settings", {"data": {"a": "1", "b": "2"}})
    folder = tmp_path / "cfg"
    mounted = await set_up(plugin, pod_of({}), folder)
    assert mounted == MountedVolume(name="cfg", host_path=str(folder), read_only=True)
    assert (folder / "a").read_text() == "1"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777
    objects.put("ConfigMap", "settings", {"data": {"a": "new"}})
    await set_up(plugin, pod_of({}), folder)
    assert (folder / "a").read_text() == "new"
    assert not (folder / "b").exists()


async def test_a_large_binary_and_many_keys(
    plugin: ConfigMapPlugin, objects: MemoryObjects, tmp_path: Path
) -> None:
    """As large as an object may be."""
    blob = os.urandom(700 << 10)
    config_map = {
        "binaryData": {"blob": base64.b64encode(blob).decode()},
        "data": {f"k{number}": "v" for number in range(5000)},
    }
    objects.put("ConfigMap", "settings", config_map)
    await set_up(plugin, pod_of({"defaultMode": 0o400}), tmp_path / "cfg")
    assert (tmp_path / "cfg" / "blob").read_bytes() == blob
    assert len(os.listdir(tmp_path / "cfg" / "..data")) == 5001


@pytest.mark.parametrize("path", ["../../escape", "/etc/escape", "..data"])
async def test_no_item_leads_out(
    plugin: ConfigMapPlugin, objects: MemoryObjects, tmp_path: Path, path: str
) -> None:
    """Nothing is made at all."""
    objects.put("ConfigMap", "settings", {"data": {"a": "1"}})
    with pytest.raises(VolumeError, match=r"^invalid path: "):
        await set_up(plugin, pod_of({"items": [{"key": "a", "path": path}]}), tmp_path / "cfg")
    assert os.listdir(tmp_path) == []


async def test_a_missing_one_keeps_the_pod_from_starting(
    plugin: ConfigMapPlugin, objects: MemoryObjects, tmp_path: Path
) -> None:
    """Unless it is optional; then it is empty until it comes."""
    objects.put("ConfigMap", "settings", None)
    with pytest.raises(VolumeError, match=r'^configmap "settings" not found$') as caught:
        await set_up(plugin, pod_of({}), tmp_path / "cfg")
    assert not caught.value.is_lasting
    await set_up(plugin, pod_of({"optional": True}), tmp_path / "cfg")
    assert os.listdir(tmp_path / "cfg" / "..data") == []
    objects.put("ConfigMap", "settings", {"data": {"a": "1"}})
    await set_up(plugin, pod_of({"optional": True}), tmp_path / "cfg")
    assert (tmp_path / "cfg" / "a").read_text() == "1"


async def test_one_that_nobody_told_of_yet(plugin: ConfigMapPlugin, tmp_path: Path) -> None:
    """It is not taken for missing, even if it is optional (DESIGN §4, law 2)."""
    message = r"^failed to sync configmap cache: timed out waiting for the condition$"
    for optional in (False, True):
        with pytest.raises(VolumeError, match=message):
            await set_up(plugin, pod_of({"optional": optional}), tmp_path / "cfg")


async def test_the_pods_group_may_read(
    plugin: ConfigMapPlugin, objects: MemoryObjects, tmp_path: Path
) -> None:
    """Also what is written later."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    pod = pod_of({"defaultMode": 0o400}, spec={"securityContext": {"fsGroup": 4321}})
    for text in ("1", "2"):
        objects.put("ConfigMap", "settings", {"data": {"a": text}})
        await set_up(plugin, pod, tmp_path / "cfg")
        file = (tmp_path / "cfg" / "a").stat()
        assert (file.st_gid, stat.S_IMODE(file.st_mode)) == (4321, 0o440)
        folder = (tmp_path / "cfg" / "..data").stat()
        assert (folder.st_gid, stat.S_IMODE(folder.st_mode)) == (4321, 0o2755)
        assert stat.S_IMODE((tmp_path / "cfg").stat().st_mode) == 0o2777


def mounting(*mounts: tuple[str, str]) -> Pod:
    """Return a pod whose container mounts volumes at paths."""
    found = [{"name": name, "mountPath": path} for name, path in mounts]
    return pod_of({}, spec={"containers": [{"name": "c", "volumeMounts": found}]})


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ([("cfg", "/etc"), ("x", "/etc/x")], ("x",)),
        ([("cfg", "/etc/"), ("x", "/etc//x/y"), ("y", "/etc/x/y/z")], ("x/y",)),
        ([("cfg", "/etc"), ("x", "/etc-x"), ("y", "/other")], ()),
        ([("x", "/etc"), ("cfg", "/etc/cfg")], ()),
        ([("cfg", "/a"), ("x", "/a/n"), ("y", "/a/n-v"), ("z", "/a/n/d")], ("n", "n-v")),
        ([("cfg", "etc"), ("x", "etc/x")], ("x",)),
        ([("cfg", "/a"), ("x", "/a/../b")], ()),
    ],
)
def test_where_others_are_mounted_there_is_a_folder(
    mounts: list[tuple[str, str]], expected: tuple[str, ...]
) -> None:
    """The runtime cannot make it in what is only read."""
    assert nested_mount_points(mounting(*mounts), "cfg") == expected


def test_no_mount_leads_out_of_the_container() -> None:
    """The API server lets none through."""
    with pytest.raises(VolumeError, match="invalid container mount point"):
        nested_mount_points(mounting(("cfg", "../x")), "cfg")


async def test_the_folders_are_there_beside_the_files(
    plugin: ConfigMapPlugin, objects: MemoryObjects, tmp_path: Path
) -> None:
    """A key of that name is hidden by the other volume anyway."""
    objects.put("ConfigMap", "settings", {"data": {"a": "1", "x": "hidden"}})
    pod = mounting(("cfg", "/etc"), ("x", "/etc/x/deep"), ("y", "/etc/a/file"))
    for _ in range(2):
        await set_up(plugin, pod, tmp_path / "cfg")
    assert (tmp_path / "cfg" / "x" / "deep").is_dir()
    assert (tmp_path / "cfg" / "a").is_dir()
    assert sorted(os.listdir(tmp_path / "cfg" / "..data")) == ["a", "x"]
