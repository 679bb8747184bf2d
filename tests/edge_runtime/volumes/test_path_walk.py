"""Opening paths without the kernel's help: the same answers, and no way out."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.volumes.path_resolution import ResolveFlag, open_at
from edge_runtime.volumes.path_walk import MAX_LINKS, walk_beneath

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_BENEATH = ResolveFlag.BENEATH | ResolveFlag.NO_MAGIC_LINKS


def kernel(folder: int, path: str) -> int:
    """The kernel's own way, which the other one stands in for.

    A rename anywhere on the machine, while it looks at "..", is EAGAIN: it is asked again.
    """
    for _ in range(1000):
        with contextlib.suppress(BlockingIOError):
            return open_at(folder, path, flags=os.O_PATH, resolve=_BENEATH)
    raise AssertionError("something on this machine renames without end")


def outcome(way: Callable[[int, str], int], folder: Path, path: str) -> object:
    """What was reached, or the error's number."""
    root = os.open(folder, os.O_PATH)
    try:
        fd = way(root, path)
    except OSError as exc:
        return exc.errno
    finally:
        os.close(root)
    try:
        found = os.fstat(fd)
        return found.st_dev, found.st_ino
    finally:
        os.close(fd)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder beside a secret, with links of every kind in it."""
    above = tmp_path_factory.mktemp("above")
    (above / "secret").write_text("not theirs")
    top = above / "top"
    (top / "a" / "b").mkdir(parents=True)
    (top / "file").write_text("theirs")
    (top / "a" / "f").write_text("theirs, too")
    for name, target in {
        "up": "..",
        "out": "../secret",
        "root": "/",
        "absolute": str(above / "secret"),
        "in": "a/b",
        "a/back": "../file",
        "a/out": "../../secret",
        "a/b/far": "../../in/../f",
        "loop": "loop",
        "dangling": "nowhere",
        "to_file": "file",
        "through": "to_file/x",
        "dots": "./a/./b/.",
        "slash": "a/",
    }.items():
        (top / name).symlink_to(target)
    return top


NAMES = ["a", "b", "f", "back", "out", "far", "file", "up", "root", "absolute", "in", "loop"]
NAMES += ["dangling", "to_file", "through", "dots", "slash", ".", "..", "secret", "top"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("up/secret", errno.EXDEV),
        ("out", errno.EXDEV),
        ("root/etc", errno.EXDEV),
        ("absolute", errno.EXDEV),
        ("..", errno.EXDEV),
        ("a/../..", errno.EXDEV),
        ("a/out", errno.EXDEV),
        ("loop", errno.ELOOP),
        ("dangling", errno.ENOENT),
        ("nowhere", errno.ENOENT),
        ("file/x", errno.ENOTDIR),
        ("file/..", errno.ENOTDIR),
        ("through", errno.ENOTDIR),
    ],
)
def test_no_way_out(tree: Path, path: str, expected: int) -> None:
    """Not by "..", not by a link, not by a link to a link."""
    assert outcome(walk_beneath, tree, path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/b", "a/b"),
        ("in", "a/b"),
        ("in/far", "a/f"),
        ("a/back", "file"),
        ("to_file", "file"),
        ("a/../file", "file"),
        (".", "."),
        ("a//b/.", "a/b"),
    ],
)
def test_ways_within(tree: Path, path: str, expected: str) -> None:
    """Links and ".." lead anywhere within the folder."""
    found = (tree / expected).stat()
    assert outcome(walk_beneath, tree, path) == (found.st_dev, found.st_ino)


@settings(max_examples=400, deadline=None)
@given(names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=6))
def test_it_answers_as_the_kernel_does(tree: Path, names: list[str]) -> None:
    """Any path through the tree is reached, or refused, by both alike."""
    path = "/".join(names)
    wanted = outcome(kernel, tree, path)
    if wanted == errno.ENOSYS:
        pytest.skip("the kernel cannot do it at all")
    assert outcome(walk_beneath, tree, path) == wanted


def test_links_are_counted(tmp_path: Path) -> None:
    """A chain of links that the kernel would follow is followed, one link more is not."""
    (tmp_path / "0").write_text("")
    for number in range(MAX_LINKS + 1):
        (tmp_path / str(number + 1)).symlink_to(str(number))
    assert isinstance(outcome(walk_beneath, tmp_path, str(MAX_LINKS)), tuple)
    assert outcome(walk_beneath, tmp_path, str(MAX_LINKS + 1)) == errno.ELOOP


def test_it_leaves_no_descriptor_open(tree: Path) -> None:
    """Neither where it arrives nor where it fails."""
    before = os.listdir("/proc/self/fd")
    for path in ("in/far", "a/out", "nowhere", "file/x", "loop", "a/../../.."):
        outcome(walk_beneath, tree, path)
    assert os.listdir("/proc/self/fd") == before
