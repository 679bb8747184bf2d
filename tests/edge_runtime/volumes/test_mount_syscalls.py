"""edge_runtime/volumes/mount_syscalls.py; what it undoes is tested with subpath.py, too."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from edge_runtime.volumes import mount_syscalls
from edge_runtime.volumes.mount_syscalls import (
    MountFlag,
    mount,
    mount_tmpfs,
    read_mounts,
    unmount,
    unmount_below,
)
from edge_runtime.volumes.mount_table import mount_at, mounts_below

if TYPE_CHECKING:
    from pathlib import Path


def test_memory_is_mounted_with_its_size(mountable: Path) -> None:
    """More than that cannot be written, and no program of it gains rights."""
    (mountable / "v").mkdir()
    mount_tmpfs(mountable / "v", size_bytes=1 << 20, data="mode=700")
    found = mount_at(read_mounts(), str(mountable / "v"))
    assert found is not None
    assert found.fs_type == "tmpfs"
    assert {"nosuid", "nodev"} <= set(found.options)
    assert {"size=1024k", "mode=700"} <= set(found.super_options)
    with pytest.raises(OSError, match="No space"):
        (mountable / "v" / "large").write_bytes(bytes(2 << 20))
    unmount(mountable / "v")
    assert mount_at(read_mounts(), str(mountable / "v")) is None


def test_a_kernel_that_does_not_know_noswap(
    mountable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before Linux 6.4 memory is mounted all the same."""
    tries = []

    def old_kernel(target: Path, *, data: str, **_: object) -> None:
        tries.append(data)
        if "noswap" in data:
            raise OSError(errno.EINVAL, "Invalid argument", str(target))

    monkeypatch.setattr(mount_syscalls, "mount", old_kernel)
    mount_tmpfs(mountable, size_bytes=4096)
    assert tries == ["size=4096,noswap", "size=4096"]


def test_another_refusal_is_told(mountable: Path) -> None:
    """With the place, as the event shows it."""
    with pytest.raises(FileNotFoundError) as caught:
        mount_tmpfs(mountable / "gone")
    assert caught.value.filename == str(mountable / "gone")
    with pytest.raises(OSError, match="Invalid argument"):
        unmount(mountable / "..")


def test_a_link_is_not_followed_to_unmount(mountable: Path) -> None:
    """Whatever it leads to stays mounted."""
    (mountable / "v").mkdir()
    mount_tmpfs(mountable / "v")
    (mountable / "link").symlink_to("v")
    with pytest.raises(OSError, match="Invalid argument"):
        unmount(mountable / "link")
    assert mount_at(read_mounts(), str(mountable / "v")) is not None


def test_all_below_a_folder_goes_the_last_first(mountable: Path) -> None:
    """Stacks, nested ones, binds and names that need to be escaped."""
    folder = mountable / "volumes of\ta pod"
    (folder / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    (mountable / "volumes of\ta pod-not").mkdir()
    mount_tmpfs(mountable / "volumes of\ta pod-not")
    mount_tmpfs(folder / "a")
    mount_tmpfs(folder / "a")
    (folder / "a" / "inner").mkdir()
    mount_tmpfs(folder / "a" / "inner")
    mount(folder / "b", source=folder / "a", flags=MountFlag.BIND | MountFlag.RECURSIVE)
    assert len(mounts_below(read_mounts(), str(folder))) == 5
    unmount_below(folder)
    assert mounts_below(read_mounts(), str(folder)) == ()
    assert mount_at(read_mounts(), f"{folder}-not") is not None
    unmount_below(mountable / "gone")


def test_what_is_hidden_goes_after_what_hides_it(mountable: Path) -> None:
    """By its path only what hides it can be reached."""
    folder = mountable / "v"
    folder.mkdir()
    mount_tmpfs(folder)
    (folder / "inner").mkdir()
    mount_tmpfs(folder / "inner")
    mount_tmpfs(folder)
    (mountable / "foreign").mkdir()
    mount_tmpfs(mountable / "foreign")
    (folder / "inner").symlink_to(mountable / "foreign")
    before = mount_at(read_mounts(), str(mountable / "foreign"))
    unmount_below(folder)
    assert mounts_below(read_mounts(), str(folder)) == ()
    assert mount_at(read_mounts(), str(mountable / "foreign")) == before


def test_the_machines_own_stacks_stay_as_they_are(mountable: Path) -> None:
    """As of autofs with NFS above it, bound with the folder that they are in."""
    machine, folder = mountable / "machine", mountable / "v"
    disk = machine / "disk"
    disk.mkdir(parents=True)
    folder.mkdir()
    mount_tmpfs(disk)
    mount_tmpfs(disk)
    (disk / "precious").write_text("1")
    before = mounts_below(read_mounts(), str(disk))
    mount(folder, source=machine, flags=MountFlag.BIND | MountFlag.RECURSIVE)
    unmount_below(folder)
    assert mounts_below(read_mounts(), str(folder)) == ()
    assert (disk / "precious").read_text() == "1"
    assert mounts_below(read_mounts(), str(disk)) == before


@pytest.mark.parametrize("name", ["a\rb", "a\r\nb", "a\x85b", "\u2028", "#", "a\\b", " "])
def test_no_name_spoils_the_table(mountable: Path, name: str) -> None:
    """Users choose names: one of a ``subPath`` that is mounted is in the table, too."""
    (mountable / name).mkdir()
    (mountable / "v").mkdir()
    mount(mountable / "v", source=mountable / name, flags=MountFlag.BIND)
    mount_tmpfs(mountable / name)
    mounts = read_mounts()
    assert mount_at(mounts, str(mountable / name)) is not None
    assert any(each.root.endswith(f"/{name}") for each in mounts)


def test_what_is_in_use_stays(mountable: Path) -> None:
    """Who writes there loses nothing; it is tried again."""
    (mountable / "v").mkdir()
    mount_tmpfs(mountable / "v")
    fd = os.open(mountable / "v", os.O_RDONLY)
    with pytest.raises(OSError, match="busy"):
        unmount_below(mountable / "v")
    os.close(fd)
    unmount_below(mountable / "v")
