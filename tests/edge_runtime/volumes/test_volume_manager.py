"""edge_runtime/volumes/volume_manager.py."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.volume import MountedVolume, Volume, VolumeProblem, VolumesNotReady
from edge_runtime.volumes.mount_syscalls import MountFlag, mount, mount_tmpfs, read_mounts
from edge_runtime.volumes.mount_table import mounts_below
from edge_runtime.volumes.plugin import VolumeError
from edge_runtime.volumes.unsupported import UnsupportedPlugin
from edge_runtime.volumes.volume_manager import VolumeManager

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.volumes.plugin import VolumePlugin

UID = PodUID("uid-1")


class Folders:
    """A plugin of folders; fails as it is told to."""

    def __init__(self) -> None:
        self.failures: dict[str, Exception] = {}
        self.calls: list[str] = []
        self.hangs = False

    async def set_up(self, pod: Pod, volume: Volume, folder: Path) -> MountedVolume:
        """Make the folder."""
        self.calls.append(volume.name)
        if self.hangs:
            await asyncio.Event().wait()
        if volume.name in self.failures:
            raise self.failures[volume.name]
        await asyncio.to_thread(folder.mkdir, exist_ok=True)
        return MountedVolume(name=volume.name, host_path=str(folder))


def pod_of(*volumes: dict[str, Any]) -> Pod:
    """Return a pod with these volumes, and a container that mounts them."""
    mounts = [{"name": each["name"], "mountPath": f"/{each['name']}"} for each in volumes]
    spec = {"volumes": list(volumes), "containers": [{"name": "c", "volumeMounts": mounts}]}
    return Pod({"metadata": {"name": "p", "uid": UID}, "spec": spec})


async def test_a_volume_that_nobody_mounts_is_not_waited_for(
    folders: Folders, tmp_path: Path
) -> None:
    """As under a kubelet: it is not even looked at."""
    pod = pod_of({"name": "v", "emptyDir": {}})
    pod.raw["spec"]["volumes"].append({"name": "unused", "csi": {"driver": "none"}})
    manager = make(folders, tmp_path)
    await manager.mount(pod)
    assert list(manager.mounted(UID)) == ["v"]


@pytest.fixture
def folders() -> Folders:
    """The plugin."""
    return Folders()


def make(folders: Folders, pods_dir: Path, *, set_up_timeout_s: float = 5.0) -> VolumeManager:
    """Return a manager with one plugin."""
    plugins: dict[str, VolumePlugin] = {"configMap": folders, "emptyDir": folders}
    return VolumeManager(
        plugins,
        otherwise=UnsupportedPlugin(),
        pods_dir=pods_dir,
        set_up_timeout_s=set_up_timeout_s,
    )


async def test_volumes_lie_where_a_kubelets_do(folders: Folders, tmp_path: Path) -> None:
    """Tools that look for them find them; nobody else may enter the pod's folder."""
    manager = make(folders, tmp_path / "pods")
    await manager.mount(pod_of({"name": "a", "configMap": {}}, {"name": "b"}))
    root = tmp_path / "pods" / UID / "volumes"
    assert manager.mounted(UID) == {
        "a": MountedVolume(name="a", host_path=str(root / "kubernetes.io~configmap" / "a")),
        "b": MountedVolume(name="b", host_path=str(root / "kubernetes.io~empty-dir" / "b")),
    }
    for folder in (root, root.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o750


async def test_a_pod_without_volumes_leaves_no_folder(folders: Folders, tmp_path: Path) -> None:
    """There is nothing to clean either."""
    manager = make(folders, tmp_path / "pods")
    await manager.mount(pod_of())
    await manager.unmount(UID)
    assert os.listdir(tmp_path) == []
    assert manager.mounted(UID) == {}


async def test_each_problem_is_told_and_the_rest_is_ready(folders: Folders, tmp_path: Path) -> None:
    """In the order of the spec, with the plugin's or the machine's own words."""
    manager = make(folders, tmp_path)
    folders.failures = {
        "bad": VolumeError('configmap "x" not found'),
        "worse": OSError(28, "No space left on device", "/x"),
    }
    pod = pod_of(
        {"name": "csi", "csi": {"driver": "d"}},
        {"name": "bad", "configMap": {}},
        {"name": "good", "configMap": {}},
        {"name": "worse", "configMap": {}},
    )
    with pytest.raises(VolumesNotReady) as caught:
        await manager.mount(pod)
    assert caught.value.problems == (
        VolumeProblem(
            volume_name="csi",
            message="this edgelet does not support volumes of kind csi (driver d)",
            is_lasting=True,
        ),
        VolumeProblem(volume_name="bad", message='configmap "x" not found'),
        VolumeProblem(volume_name="worse", message="[Errno 28] No space left on device: '/x'"),
    )
    assert list(manager.mounted(UID)) == ["good"]


async def test_a_volume_that_was_ready_stays_so(folders: Folders, tmp_path: Path) -> None:
    """Its Secret is gone, but the pod that runs keeps what it has."""
    manager = make(folders, tmp_path)
    pod = pod_of({"name": "a", "configMap": {}})
    await manager.mount(pod)
    folders.failures = {"a": VolumeError('secret "x" not found')}
    with pytest.raises(VolumesNotReady, match="not found"):
        await manager.mount(pod)
    assert list(manager.mounted(UID)) == ["a"]
    folders.failures = {}
    await manager.mount(pod)
    assert folders.calls == ["a", "a", "a"]


async def test_a_volume_that_hangs_holds_nobody_for_ever(folders: Folders, tmp_path: Path) -> None:
    """A server that does not answer."""
    folders.hangs = True
    manager = make(folders, tmp_path, set_up_timeout_s=0.01)
    with pytest.raises(VolumesNotReady, match=r"it was not ready within 0\.01 s"):
        await manager.mount(pod_of({"name": "a", "configMap": {}}))


@pytest.mark.parametrize("name", ["..", "a/b", "", "."])
async def test_a_name_that_is_a_path_is_refused(
    folders: Folders, tmp_path: Path, name: str
) -> None:
    """The API server lets none through; if one came, nothing outside would be touched."""
    manager = make(folders, tmp_path / "pods")
    with pytest.raises(VolumesNotReady, match="is not a file name"):
        await manager.mount(pod_of({"name": name, "configMap": {}}))
    assert folders.calls == []
    with pytest.raises(OSError, match="not a file name"):
        await manager.unmount(PodUID(name))


async def test_a_file_in_the_way_is_told_and_cleaned(folders: Folders, tmp_path: Path) -> None:
    """Whoever put it there; with the pod it goes."""
    place = tmp_path / UID / "volumes" / "kubernetes.io~configmap"
    place.mkdir(parents=True)
    (place / "a").write_text("in the way")
    manager = make(folders, tmp_path)
    pod = pod_of({"name": "a", "configMap": {}})
    with pytest.raises(VolumesNotReady, match="File exists"):
        await manager.mount(pod)
    await manager.unmount(UID)
    await manager.mount(pod)


async def test_all_of_a_pod_goes(folders: Folders, mountable: Path) -> None:
    """What a crashed process mounted is found in the kernel's table; foreign data stays."""
    theirs = mountable / "theirs"
    theirs.mkdir()
    (theirs / "precious").write_text("1")
    pod_folder = mountable / "pods" / UID
    secret = pod_folder / "volumes" / "kubernetes.io~secret" / "s"
    bound = pod_folder / "volumes" / "kubernetes.io~nfs" / "n"
    subpath = pod_folder / "volume-subpaths" / "n" / "main" / "0"
    for each in (secret, bound, subpath):
        each.mkdir(parents=True)
    mount_tmpfs(secret)
    (secret / "password").write_text("hunter2")
    mount(bound, source=theirs, flags=MountFlag.BIND)
    mount(subpath, source=theirs, flags=MountFlag.BIND)
    (pod_folder / "etc-hosts").write_text("")
    manager = make(folders, mountable / "pods")
    await manager.unmount(UID)
    assert os.listdir(pod_folder) == ["etc-hosts"]
    assert (theirs / "precious").read_text() == "1"
    assert mounts_below(read_mounts(), str(pod_folder)) == ()
    await manager.unmount(UID)


async def test_what_is_in_use_is_not_removed(folders: Folders, mountable: Path) -> None:
    """The pod's worker tries again; the folder tells that something is left."""
    place = mountable / UID / "volumes" / "kubernetes.io~empty-dir" / "m"
    place.mkdir(parents=True)
    mount_tmpfs(place)
    file = (place / "open").open("w")
    manager = make(folders, mountable)
    await manager.mount(pod_of({"name": "m", "emptyDir": {"medium": "Memory"}}))
    with pytest.raises(OSError, match="busy"):
        await manager.unmount(UID)
    assert (place / "open").exists()
    assert list(manager.mounted(UID)) == ["m"]
    file.close()
    await manager.unmount(UID)
    assert manager.mounted(UID) == {}
    assert os.listdir(mountable / UID) == []
