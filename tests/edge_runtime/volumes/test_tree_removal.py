"""edge_runtime/volumes/tree_removal.py."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import threading
import time
from typing import TYPE_CHECKING

import pytest

from edge_runtime.volumes.mount_syscalls import MountFlag, mount, mount_tmpfs
from edge_runtime.volumes.tree_removal import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


RACE_S = 1.0
pytestmark = pytest.mark.usefixtures("kernel")


def test_all_of_it_goes_and_nothing_beside(tmp_path: Path) -> None:
    """Links are removed, not followed."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("1")
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "file").write_text("1")
    (tree / "a" / "link").symlink_to(outside)
    (tree / "a" / "b" / "file-link").symlink_to(outside / "precious")
    (tree / "dangling").symlink_to("nowhere")
    os.mkfifo(tree / "pipe")
    remove_tree(tree)
    assert os.listdir(tmp_path) == ["outside"]
    assert (outside / "precious").read_text() == "1"


def test_what_is_not_there_is_fine(tmp_path: Path) -> None:
    """It was removed before."""
    remove_tree(tmp_path / "gone")
    remove_tree(tmp_path / "gone" / "deeper")


def test_a_file_or_a_link_goes_as_well(tmp_path: Path) -> None:
    """Whatever stands where a volume should."""
    (tmp_path / "file").write_text("")
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    remove_tree(tmp_path / "file")
    remove_tree(tmp_path / "link")
    assert os.listdir(tmp_path) == ["target"]


def test_a_folder_that_its_owner_cannot_enter(tmp_path: Path) -> None:
    """Modes keep root out of nothing."""
    if os.geteuid() != 0:
        pytest.skip("only root may")
    (tmp_path / "tree" / "closed").mkdir(parents=True)
    (tmp_path / "tree" / "closed" / "file").write_text("")
    (tmp_path / "tree" / "closed").chmod(0)
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def test_folders_nested_far_beyond_any_path(tmp_path: Path) -> None:
    """A pod may nest thousands; there is no path to the last, and no stack for all."""
    tree = tmp_path / "tree"
    tree.mkdir()
    fd = os.open(tree, os.O_RDONLY)
    for number in range(5000):
        os.mkdir("n" * 40, dir_fd=fd)
        if number % 10 == 0:
            os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        inner = os.open("n" * 40, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    remove_tree(tree)
    assert not tree.exists()


def test_more_files_than_one_look(tmp_path: Path) -> None:
    """They are taken a thousand at a time."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(2500):
        (tree / str(number)).touch()
    remove_tree(tree)
    assert not tree.exists()


def test_nothing_behind_a_mount_is_touched(mountable: Path) -> None:
    """What a server or another pod keeps there is not the pod's."""
    (mountable / "tree" / "point").mkdir(parents=True)
    mount_tmpfs(mountable / "tree" / "point")
    (mountable / "tree" / "point" / "precious").write_text("1")
    with pytest.raises(OSError, match="point") as caught:
        remove_tree(mountable / "tree")
    assert caught.value.errno == errno.EXDEV
    assert (mountable / "tree" / "point" / "precious").read_text() == "1"


def test_nothing_behind_a_bound_folder_is_touched(mountable: Path, kernel: str) -> None:
    """It is of the same file system, so only the kernel tells it from a folder."""
    if kernel != "openat2":
        pytest.skip("before Linux 5.6 the table of mounts is all that tells")
    (mountable / "theirs").mkdir()
    (mountable / "theirs" / "precious").write_text("1")
    (mountable / "tree" / "point").mkdir(parents=True)
    mount(mountable / "tree" / "point", source=mountable / "theirs", flags=MountFlag.BIND)
    with pytest.raises(OSError, match="point"):
        remove_tree(mountable / "tree")
    assert (mountable / "theirs" / "precious").read_text() == "1"


@pytest.fixture
def swapping(tmp_path: Path) -> Iterator[Path]:
    """A tree in which a folder is swapped for a link that leads out, over and over."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("1")
    tree, aside = tmp_path / "tree", tmp_path / "aside"
    done = threading.Event()

    def swap_once() -> None:
        tree.mkdir(exist_ok=True)
        (tree / "x").mkdir()
        (tree / "x" / "file").touch()
        (tree / "x").rename(aside)
        (tree / "x").symlink_to(outside)

    def swap() -> None:
        while not done.is_set():
            with contextlib.suppress(OSError):
                swap_once()
            shutil.rmtree(aside, ignore_errors=True)

    thread = threading.Thread(target=swap)
    thread.start()
    yield tree
    done.set()
    thread.join()


def test_a_race_is_never_won(swapping: Path) -> None:
    """However a folder becomes a link, nothing outside goes."""
    outcomes = {"removed": 0, "refused": 0}
    ends_at = time.monotonic() + RACE_S
    while time.monotonic() < ends_at:
        try:
            remove_tree(swapping)
        except OSError:
            outcomes["refused"] += 1
        else:
            outcomes["removed"] += 1
    assert outcomes["removed"]
    assert (swapping.parent / "outside" / "precious").read_text() == "1"
