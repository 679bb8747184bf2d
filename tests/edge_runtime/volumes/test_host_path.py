"""Paths of the machine: of the type that is asked for, and only where the owner allows them."""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.volume import MountedVolume, Volume
from edge_runtime.policy.edge_policy import FORBIDS_NOTHING, EdgePolicy
from edge_runtime.volumes.host_path import HostPathPlugin
from edge_runtime.volumes.mount_syscalls import mount_tmpfs, read_mounts, unmount_below
from edge_runtime.volumes.mount_table import mount_at, mounts_below
from edge_runtime.volumes.plugin import VolumeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POD = Pod({"metadata": {"uid": "u", "name": "p"}, "spec": {"containers": [{"name": "c"}]}})


async def set_up(
    path: Path | str, kind: str = "", *, policy: EdgePolicy = FORBIDS_NOTHING, folder: Path
) -> MountedVolume:
    """Set a volume up."""
    volume = Volume({"name": "data", "hostPath": {"path": str(path), "type": kind}})
    return await HostPathPlugin(policy).set_up(POD, volume, folder)


@pytest.fixture
def things(tmp_path: Path) -> Iterator[Path]:
    """One of each type, and links to them."""
    top = tmp_path / "things"
    top.mkdir()
    (top / "folder").mkdir()
    (top / "file").write_text("content")
    os.mkfifo(top / "pipe")
    (top / "char").symlink_to("/dev/null")
    (top / "link").symlink_to("folder")
    opened = socket.socket(socket.AF_UNIX)
    opened.bind(str(top / "socket"))
    yield top
    opened.close()


FOUND = {
    "Directory": {"folder", "link"},
    "DirectoryOrCreate": {"folder", "link"},
    "File": {"file"},
    "FileOrCreate": {"file"},
    "Socket": {"socket"},
    "CharDevice": {"char"},
    "BlockDevice": set(),
}
NAMES = {
    "Directory": "a directory",
    "DirectoryOrCreate": "a directory",
    "File": "a file",
    "FileOrCreate": "a file",
    "Socket": "a socket file",
    "CharDevice": "a character device",
    "BlockDevice": "a block device",
}


@pytest.mark.parametrize("kind", list(FOUND))
@pytest.mark.parametrize("name", ["folder", "link", "file", "pipe", "char", "socket"])
async def test_types(things: Path, tmp_path: Path, kind: str, name: str) -> None:
    """A path of the type goes to the runtime as it stands; any other is refused by name."""
    path = things / name
    if name in FOUND[kind]:
        found = await set_up(path, kind, folder=tmp_path / "v")
        assert found.host_path == str(path)
        assert not found.relabels
    else:
        with pytest.raises(VolumeError) as caught:
            await set_up(path, kind, folder=tmp_path / "v")
        assert str(caught.value) == f"hostPath type check failed: {path} is not {NAMES[kind]}"


@pytest.mark.parametrize("kind", ["Directory", "File", "Socket", "CharDevice", "BlockDevice"])
async def test_what_is_not_there(tmp_path: Path, kind: str) -> None:
    """It is of no type, and is not made."""
    with pytest.raises(VolumeError, match=f"is not {NAMES[kind]}"):
        await set_up(tmp_path / "gone", kind, folder=tmp_path / "v")
    assert not (tmp_path / "gone").exists()


async def test_no_type_checks_nothing(tmp_path: Path) -> None:
    """As under a kubelet the runtime makes a folder of it."""
    found = await set_up(tmp_path / "gone", folder=tmp_path / "v")
    assert found.host_path == str(tmp_path / "gone")
    assert not (tmp_path / "gone").exists()


async def test_a_folder_is_made(tmp_path: Path) -> None:
    """With those above it, for everybody to read."""
    previous = os.umask(0o077)
    try:
        await set_up(tmp_path / "a" / "b", "DirectoryOrCreate", folder=tmp_path / "v")
    finally:
        os.umask(previous)
    for made in (tmp_path / "a", tmp_path / "a" / "b"):
        assert stat.S_IMODE(made.stat().st_mode) == 0o755


async def test_a_file_is_made(tmp_path: Path) -> None:
    """Empty, in a folder that must be there."""
    await set_up(tmp_path / "f", "FileOrCreate", folder=tmp_path / "v")
    assert (tmp_path / "f").read_bytes() == b""
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o644
    with pytest.raises(FileNotFoundError):
        await set_up(tmp_path / "a" / "f", "FileOrCreate", folder=tmp_path / "v")
    assert not (tmp_path / "a").exists()


async def test_below_a_file_nothing_is_made(tmp_path: Path) -> None:
    """A path through a file leads nowhere."""
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        await set_up(tmp_path / "file" / "x", "DirectoryOrCreate", folder=tmp_path / "v")


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("/a/../etc", "", "invalid HostPath `/a/../etc`: must not contain '..'"),
        ("etc", "Directory", "must be an absolute path"),
        ("/etc", "Tape", "Tape is an invalid volume type"),
    ],
)
async def test_what_makes_no_sense(tmp_path: Path, path: str, kind: str, message: str) -> None:
    """It is refused for good."""
    with pytest.raises(VolumeError, match=message) as caught:
        await set_up(path, kind, folder=tmp_path / "v")
    assert caught.value.is_lasting


def only(*folders: Path) -> EdgePolicy:
    """A policy that allows these folders alone."""
    return EdgePolicy(allowed_host_paths=tuple(map(str, folders)))


@pytest.fixture
def data(mountable: Path) -> Path:
    """A folder that is allowed, beside one that is not."""
    for name in ("data", "secret"):
        (mountable / name).mkdir()
        (mountable / name / "file").write_text(name)
    return mountable / "data"


async def test_an_allowed_path_is_mounted_by_what_was_checked(data: Path, mountable: Path) -> None:
    """A pod that swaps it afterwards changes nothing any more."""
    (data / "sub").mkdir()
    (data / "sub" / "file").write_text("sub")
    found = await set_up(data / "sub", policy=only(data), folder=mountable / "v")
    (data / "sub").rename(data / "other")
    (data / "sub").symlink_to(mountable / "secret")
    assert found.host_path == str(mountable / "v")
    assert (mountable / "v" / "file").read_text() == "sub"
    # The next start of anything of the pod finds the link.
    with pytest.raises(VolumeError, match="forbids host path"):
        await set_up(data / "sub", policy=only(data), folder=mountable / "v")


@pytest.mark.parametrize("kind", ["", "Directory", "DirectoryOrCreate"])
async def test_a_link_out_of_the_allowed_folder(data: Path, mountable: Path, kind: str) -> None:
    """The message says where it leads; nothing is mounted."""
    (data / "link").symlink_to(mountable / "secret")
    with pytest.raises(VolumeError) as caught:
        await set_up(data / "link", kind, policy=only(data), folder=mountable / "v")
    assert str(caught.value) == (
        f"the policy of this edge forbids host path {data}/link, which leads to {mountable}/secret"
    )
    assert not caught.value.is_lasting
    assert mount_at(read_mounts(), str(mountable / "v")) is None


@pytest.mark.parametrize("kind", ["", "DirectoryOrCreate", "FileOrCreate"])
async def test_nothing_is_made_outside(data: Path, mountable: Path, kind: str) -> None:
    """Not by a link on the way either."""
    (data / "link").symlink_to(mountable / "secret")
    for path in (data / "link" / "new", mountable / "secret" / "new"):
        with pytest.raises(VolumeError, match="the policy of this edge forbids"):
            await set_up(path, kind, policy=only(data), folder=mountable / "v")
    assert os.listdir(mountable / "secret") == ["file"]


@pytest.mark.parametrize("kind", ["", "DirectoryOrCreate"])
async def test_what_is_allowed_is_made(data: Path, mountable: Path, kind: str) -> None:
    """Also without a type: the runtime must not be the one to follow the path."""
    found = await set_up(data / "a" / "b", kind, policy=only(data), folder=mountable / "v")
    (data / "a" / "b" / "new").write_text("seen")
    assert (mountable / "v" / "new").read_text() == "seen"
    assert found.host_path == str(mountable / "v")


async def test_a_file_is_mounted_under_a_policy(data: Path, mountable: Path) -> None:
    """As a file."""
    for _ in range(2):
        await set_up(data / "file", "File", policy=only(data), folder=mountable / "v")
    assert (mountable / "v").read_text() == "data"
    assert len(mounts_below(read_mounts(), str(mountable / "v"))) == 1


async def test_cleaning_leaves_the_machines_mounts(data: Path, mountable: Path) -> None:
    """What is mounted in the folder is seen by the pod, and stays when the pod goes."""
    (data / "disk").mkdir()
    mount_tmpfs(data / "disk")
    (data / "disk" / "file").write_text("on the disk")
    await set_up(data, policy=only(data), folder=mountable / "v")
    (data / "later").mkdir()
    mount_tmpfs(data / "later")
    assert (mountable / "v" / "disk" / "file").read_text() == "on the disk"
    unmount_below(mountable / "v")
    assert mounts_below(read_mounts(), str(mountable / "v")) == ()
    for name in ("disk", "later"):
        assert mount_at(read_mounts(), str(data / name)) is not None
    assert (data / "disk" / "file").read_text() == "on the disk"
