"""Local PersistentVolumes: bound where the pod's volumes are, given to its group, left alone."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.policy.edge_policy import FORBIDS_NOTHING, EdgePolicy
from edge_runtime.volumes.local_path import LocalPathPlugin
from edge_runtime.volumes.mount_syscalls import mount_tmpfs, read_mounts, unmount_below
from edge_runtime.volumes.mount_table import mount_at, mounts_below
from edge_runtime.volumes.persistent_source import PersistentSource
from edge_runtime.volumes.plugin import VolumeError

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.volume import MountedVolume


@pytest.fixture
def disk(mountable: Path) -> Path:
    """A disk with a file on it."""
    folder = mountable / "disk"
    folder.mkdir()
    (folder / "file").write_text("kept")
    (folder / "file").chmod(0o600)
    return folder


def folder_of(mountable: Path, uid: str = "u") -> Path:
    """Where a pod's volume is mounted."""
    folder = mountable / "pods" / uid / "volumes" / "kubernetes.io~x" / "data"
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder


async def mount_disk(
    mountable: Path,
    path: Path | str,
    *options: str,
    uid: str = "u",
    read_only: bool = False,
    policy: EdgePolicy = FORBIDS_NOTHING,
    **context: Any,  # noqa: ANN401  # a pod's own fields
) -> MountedVolume:
    """Mount it for a pod."""
    pod = Pod({"metadata": {"uid": uid, "name": "p"}, "spec": {"securityContext": context}})
    source = PersistentSource(
        volume_name="data",
        fields={"path": str(path)},
        is_read_only=read_only,
        mount_options=options,
    )
    plugin = LocalPathPlugin(policy, pods_dir=mountable / "pods")
    return await plugin.mount_source(pod, source, folder_of(mountable, uid))


async def test_it_is_bound_once(mountable: Path, disk: Path) -> None:
    """What the pod writes is on the disk."""
    for _ in range(2):
        found = await mount_disk(mountable, disk)
    assert found.host_path == str(folder_of(mountable))
    (folder_of(mountable) / "new").write_text("written")
    assert (disk / "new").read_text() == "written"
    assert len(mounts_below(read_mounts(), str(folder_of(mountable)))) == 1


async def test_read_only(mountable: Path, disk: Path) -> None:
    """Neither the runtime nor anybody else may write through it; the disk itself stays writable."""
    found = await mount_disk(mountable, disk, read_only=True, fsGroup=4711)
    assert found.read_only
    with pytest.raises(OSError, match="Read-only file system"):
        (folder_of(mountable) / "new").write_text("")
    (disk / "new").write_text("")
    assert (disk / "file").stat().st_gid == 0


async def test_mount_options(mountable: Path, disk: Path) -> None:
    """Those of a bind mount count; others are named."""
    await mount_disk(mountable, disk, "nodev,noexec", "nosuid")
    found = mount_at(read_mounts(), str(folder_of(mountable)))
    assert found is not None
    assert {"nodev", "noexec", "nosuid"} <= set(found.options)
    with pytest.raises(VolumeError, match=r'mount option "vers=4\.1" is not supported'):
        await mount_disk(mountable, disk, "vers=4.1", uid="other")


async def test_the_pods_group_gets_it(mountable: Path, disk: Path) -> None:
    """All files, before anything of the pod sees them."""
    await mount_disk(mountable, disk, fsGroup=4711)
    found = (disk / "file").stat()
    assert found.st_gid == 4711
    assert stat.S_IMODE(found.st_mode) == 0o660
    assert stat.S_IMODE(os.stat(disk).st_mode) & 0o2770 == 0o2770


async def test_another_pods_group_is_not_taken_away(mountable: Path, disk: Path) -> None:
    """While a pod uses the volume, its group stays; after it the next pod's counts."""
    await mount_disk(mountable, disk, uid="first", fsGroup=4711)
    await mount_disk(mountable, disk, uid="second", fsGroup=4712)
    assert (disk / "file").stat().st_gid == 4711
    for uid in ("first", "second"):
        unmount_below(folder_of(mountable, uid))
    await mount_disk(mountable, disk, uid="third", fsGroup=4712)
    assert (disk / "file").stat().st_gid == 4712


async def test_on_root_mismatch(mountable: Path, disk: Path) -> None:
    """A volume whose own folder is right is not looked through."""
    os.chown(disk, 0, 4711)
    os.chmod(disk, 0o2770)  # noqa: S103  # the group is what this is about
    await mount_disk(mountable, disk, fsGroup=4711, fsGroupChangePolicy="OnRootMismatch")
    assert (disk / "file").stat().st_gid == 0


async def test_what_is_no_folder(mountable: Path, disk: Path) -> None:
    """Neither a file nor a raw disk is mounted, and nothing is formatted."""
    with pytest.raises(VolumeError, match="only directory and block device are supported"):
        await mount_disk(mountable, disk / "file")
    os.mknod(disk / "sda", stat.S_IFBLK | 0o600, os.makedev(259, 4095))
    with pytest.raises(VolumeError, match="is a block device: this edgelet only mounts folders"):
        await mount_disk(mountable, disk / "sda")
    with pytest.raises(FileNotFoundError):
        await mount_disk(mountable, disk / "gone")
    with pytest.raises(VolumeError, match="must not contain"):
        await mount_disk(mountable, f"{disk}/../disk")


async def test_the_owners_policy_counts(mountable: Path, disk: Path) -> None:
    """A PersistentVolume is no way around it."""
    allowed = EdgePolicy(allowed_host_paths=(str(disk),))
    await mount_disk(mountable, disk, policy=allowed)
    elsewhere = EdgePolicy(allowed_host_paths=("/srv",))
    with pytest.raises(VolumeError, match=f"the policy of this edge forbids host path {disk}"):
        await mount_disk(mountable, disk, uid="other", policy=elsewhere)


async def test_the_disk_survives_the_pod(mountable: Path, disk: Path) -> None:
    """With all that the machine has mounted on it."""
    await mount_disk(mountable, disk)
    (disk / "inner").mkdir()
    mount_tmpfs(disk / "inner")
    (disk / "inner" / "file").write_text("kept, too")
    unmount_below(folder_of(mountable))
    assert (disk / "file").read_text() == "kept"
    assert (disk / "inner" / "file").read_text() == "kept, too"
