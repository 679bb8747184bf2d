"""Parts of volumes: mounted as asked, and never anything from outside, however hard one tries."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from edge_runtime.volumes import subpath
from edge_runtime.volumes.mount_syscalls import MountFlag, mount, mount_tmpfs, read_mounts
from edge_runtime.volumes.mount_table import mounts_below
from edge_runtime.volumes.subpath import (
    NoSubpath,
    make_beneath,
    mount_opened,
    mount_subpath,
    open_beneath,
)

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.volumes.path_resolution import ResolveFlag

RACE_S = 1.5


@pytest.fixture(params=["openat2", "walk"])
def old_and_new_kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have each test done with the kernel's own resolution, and as before Linux 5.6."""
    if request.param == "walk":

        def unknown(_folder: int, path: str, *, flags: int, resolve: ResolveFlag) -> int:
            del flags, resolve
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), path)

        monkeypatch.setattr(subpath, "open_at", unknown)


pytestmark = pytest.mark.usefixtures("old_and_new_kernels")


@pytest.fixture
def volume(mountable: Path) -> Path:
    """A volume beside a secret."""
    folder = mountable / "volume"
    folder.mkdir()
    folder.chmod(0o2775)
    secret = mountable / "host"
    secret.mkdir()
    (secret / "key").write_text("the machine's own")
    return folder


def target_of(mountable: Path, number: int = 0) -> Path:
    """Where a part is mounted."""
    return mountable / "volume-subpaths" / "data" / "app" / str(number)


def mounts_at(folder: Path) -> list[str]:
    """What is mounted at or below a folder."""
    return [each.path for each in mounts_below(read_mounts(), str(folder))]


def test_a_folder_and_a_file(mountable: Path, volume: Path) -> None:
    """What is there is mounted, and what the volume's users write is seen at once."""
    (volume / "logs").mkdir()
    (volume / "conf").write_text("a")
    mount_subpath(str(volume), "logs", target_of(mountable))
    mount_subpath(str(volume), "conf", target_of(mountable, 1))
    (volume / "logs" / "new").write_text("b")
    assert (target_of(mountable) / "new").read_text() == "b"
    assert target_of(mountable, 1).read_text() == "a"


def test_a_missing_folder_is_made_as_the_volume_is(mountable: Path, volume: Path) -> None:
    """With the volume's mode: whoever may write there may write in it."""
    previous = os.umask(0o077)
    try:
        mount_subpath(str(volume), "a/b", target_of(mountable))
    finally:
        os.umask(previous)
    for made in (volume / "a", volume / "a" / "b", target_of(mountable)):
        assert stat.S_IMODE(made.stat().st_mode) == 0o2775


def test_it_is_mounted_once(mountable: Path, volume: Path) -> None:
    """A container that starts again finds its mount, not a stack of them."""
    (volume / "logs").mkdir()
    for _ in range(3):
        mount_subpath(str(volume), "logs", target_of(mountable))
    assert len(mounts_at(target_of(mountable))) == 1


def test_what_was_replaced_is_mounted_anew(mountable: Path, volume: Path) -> None:
    """A file that was written anew, or a folder where a file was, is what the next start sees."""
    for content in ("old", "new"):
        (volume / "next").write_text(content)
        (volume / "next").rename(volume / "conf")
        mount_subpath(str(volume), "conf", target_of(mountable))
        assert target_of(mountable).read_text() == content
    (volume / "conf").unlink()
    (volume / "conf").mkdir()
    mount_subpath(str(volume), "conf", target_of(mountable))
    assert target_of(mountable).is_dir()
    assert len(mounts_at(target_of(mountable))) == 1


@pytest.mark.parametrize(
    "links",
    [
        {"x": "{host}"},
        {"x": "/"},
        {"x": "../host"},
        {"x": "y", "y": "../host"},
        {"x": "in/../../host", "in": "."},
    ],
)
@pytest.mark.parametrize("path", ["x", "x/key", "x/new"])
def test_a_link_out_of_the_volume_is_not_followed(
    mountable: Path, volume: Path, links: dict[str, str], path: str
) -> None:
    """Nothing outside is mounted, made or changed."""
    for name, leads_to in links.items():
        (volume / name).symlink_to(leads_to.format(host=mountable / "host"))
    with pytest.raises((OSError, NoSubpath)):
        mount_subpath(str(volume), path, target_of(mountable))
    assert mounts_at(target_of(mountable)) == []
    assert os.listdir(mountable / "host") == ["key"]


def test_links_within_the_volume_are_followed(mountable: Path, volume: Path) -> None:
    """As those of a ConfigMap are: each key is a link through ..data."""
    (volume / "..2026").mkdir()
    (volume / "..2026" / "key").write_text("value")
    (volume / "..data").symlink_to("..2026")
    (volume / "key").symlink_to("..data/key")
    mount_subpath(str(volume), "key", target_of(mountable))
    assert target_of(mountable).read_text() == "value"


@pytest.mark.parametrize("path", ["file/x", "dangling", "dangling/x", "loop/x"])
def test_what_cannot_be_made_says_so(mountable: Path, volume: Path, path: str) -> None:
    """A file is no folder, and a link that leads nowhere is not made to lead somewhere."""
    (volume / "file").write_text("")
    (volume / "dangling").symlink_to("nowhere")
    (volume / "loop").symlink_to("loop")
    with pytest.raises((OSError, NoSubpath)):
        mount_subpath(str(volume), path, target_of(mountable))
    assert sorted(os.listdir(volume)) == ["dangling", "file", "loop"]


def test_dots_do_not_make_folders(volume: Path) -> None:
    """Whoever asks checked that before; here it is refused all the same."""
    root = os.open(volume, os.O_PATH)
    try:
        with pytest.raises(OSError, match="Invalid argument"):
            make_beneath(root, "a/../../b", mode=0o755)
    finally:
        os.close(root)
    assert os.listdir(volume) == []


def test_special_files(mountable: Path, volume: Path) -> None:
    """A pipe is mounted without waiting for who writes into it."""
    os.mkfifo(volume / "pipe")
    mount_subpath(str(volume), "pipe", target_of(mountable))
    assert stat.S_ISFIFO(target_of(mountable).stat().st_mode)


def test_an_earlier_mount_of_the_machine_survives(mountable: Path, volume: Path) -> None:
    """What the machine has mounted within the part is not unmounted with it."""
    part = volume / "part"
    part.mkdir()
    mount_tmpfs(part)
    mount(part, flags=MountFlag.SHARED)
    mount_subpath(str(volume), "part", target_of(mountable))
    (part / "disk").mkdir()
    mount_tmpfs(part / "disk")
    assert mounts_at(target_of(mountable)) != [str(target_of(mountable))], "it came along"
    (volume / "other").mkdir()
    mount_subpath(str(volume), "other", target_of(mountable))
    assert mounts_at(part / "disk") == [str(part / "disk")]


def test_mounts_below_come_along_when_asked_for(mountable: Path) -> None:
    """A folder of the machine is bound with what is mounted in it."""
    inner = mountable / "data" / "disk"
    inner.mkdir(parents=True)
    mount_tmpfs(inner)
    (inner / "file").write_text("there")
    fd = os.open(mountable / "data", os.O_PATH)
    try:
        mount_opened(fd, target_of(mountable), flags=MountFlag.RECURSIVE)
        mount_opened(fd, target_of(mountable, 1))
    finally:
        os.close(fd)
    assert (target_of(mountable) / "disk" / "file").read_text() == "there"
    assert not (target_of(mountable, 1) / "disk" / "file").exists()


class Racer:
    """Swaps a folder of the volume for a link out of it, as fast as it can."""

    def __init__(self, volume: Path, outside: Path) -> None:
        self._dir = os.open(volume, os.O_RDONLY)
        (volume / "real").mkdir()
        (volume / "real" / "key").write_text("theirs")
        (volume / "link").symlink_to(outside)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._swap) for _ in range(2)]

    def _swap(self) -> None:
        places = ("real", "x", "link")
        while not self._ended.is_set():
            # Two threads collide; then the other one did it.
            for old, new in ((0, 1), (1, 0), (2, 1), (1, 2)):
                with contextlib.suppress(OSError):
                    os.rename(places[old], places[new], src_dir_fd=self._dir, dst_dir_fd=self._dir)

    def __enter__(self) -> None:
        for each in self._threads:
            each.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for each in self._threads:
            each.join()
        os.close(self._dir)


def test_a_race_is_never_won(mountable: Path, volume: Path) -> None:
    """Whatever is mounted while the way to it is swapped is the volume's own."""
    seen = {"mounted": 0, "refused": 0}
    ends = threading.Timer(RACE_S, lambda: None)
    with Racer(volume, mountable / "host"):
        ends.start()
        while ends.is_alive() or not seen["mounted"]:
            try:
                mount_subpath(str(volume), "x/key", target_of(mountable))
            except (OSError, NoSubpath):
                seen["refused"] += 1
                continue
            seen["mounted"] += 1
            target = target_of(mountable)
            # The way may be swapped before the folder is made: then a folder of theirs is mounted.
            assert target.is_dir() or target.read_text() == "theirs"
    assert seen["refused"], "the race was none"
    assert (mountable / "host" / "key").read_text() == "the machine's own"
    assert os.listdir(mountable / "host") == ["key"]


def test_a_race_makes_nothing_outside(mountable: Path, volume: Path) -> None:
    """Folders that are made while the way to them is swapped are made in the volume or not."""
    ends = threading.Timer(RACE_S, lambda: None)
    root = os.open(volume, os.O_PATH)
    number = made = 0
    try:
        with Racer(volume, mountable / "host"):
            ends.start()
            while ends.is_alive() or not made:
                number += 1
                with contextlib.suppress(OSError):
                    os.close(make_beneath(root, f"x/new{number}/deep", mode=0o777))
                    made += 1
    finally:
        os.close(root)
    assert os.listdir(mountable / "host") == ["key"]


def test_no_descriptor_is_left(mountable: Path, volume: Path) -> None:
    """Neither when it works nor when it does not."""
    (volume / "out").symlink_to("../host")
    (volume / "file").write_text("")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("a/b", "out", "out/x", "file", "file/x"):
        with contextlib.suppress(OSError, NoSubpath):
            mount_subpath(str(volume), path, target_of(mountable))
    root = os.open(volume, os.O_PATH)
    os.close(open_beneath(root, "a/b"))
    os.close(root)
    assert len(os.listdir("/proc/self/fd")) == before
