"""edge_runtime/volumes/path_resolution.py."""

from __future__ import annotations

import errno
import fcntl
import os
from typing import TYPE_CHECKING

import pytest

from edge_runtime.volumes.path_resolution import ResolveFlag, open_at, open_inside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    """An open folder with links that lead in and out."""
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret").write_text("secret")
    (inside / "file").write_text("own")
    (inside / "in").symlink_to("file")
    (inside / "out").symlink_to("../secret")
    (inside / "absolute").symlink_to("/etc/passwd")
    fd = os.open(inside, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def read(folder: int, path: str, resolve: ResolveFlag) -> bytes:
    """Return what is read at a path."""
    with os.fdopen(open_at(folder, path, flags=os.O_RDONLY, resolve=resolve), "rb") as file:
        assert fcntl.fcntl(file, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
        return file.read()


@pytest.mark.parametrize("path", ["file", "in", "./../inside/file"])
def test_what_stays_is_opened(folder: int, path: str) -> None:
    """Links within are followed where they may be."""
    if ".." in path:
        with pytest.raises(OSError, match="cross-device"):
            read(folder, path, ResolveFlag.BENEATH)
        return
    assert read(folder, path, ResolveFlag.BENEATH) == b"own"


@pytest.mark.parametrize("path", ["out", "absolute", "../secret", "/etc/passwd"])
def test_what_leads_out_is_not(folder: int, path: str) -> None:
    """By whatever way."""
    with pytest.raises(OSError, match="cross-device") as caught:
        read(folder, path, ResolveFlag.BENEATH)
    assert caught.value.errno == errno.EXDEV
    assert caught.value.filename == path


def test_no_link_is_followed_where_none_may_be(folder: int) -> None:
    """Not even one that stays within."""
    with pytest.raises(OSError, match="symbolic links"):
        read(folder, "in", ResolveFlag.BENEATH | ResolveFlag.NO_LINKS)


def test_a_file_may_be_made(folder: int) -> None:
    """With the mode that is asked for."""
    before = os.umask(0)
    try:
        fd = open_at(
            folder,
            "new",
            flags=os.O_WRONLY | os.O_CREAT | os.O_EXCL,
            resolve=ResolveFlag.BENEATH,
            mode=0o640,
        )
    finally:
        os.umask(before)
    assert os.fstat(fd).st_mode & 0o777 == 0o640
    os.close(fd)


@pytest.mark.parametrize(
    ("path", "problem"),
    [("in", "links|Not a directory"), ("out", "links|Not a directory"), ("../secret", "cross")],
)
def test_a_plain_way_has_no_links(folder: int, kernel: str, path: str, problem: str) -> None:
    """On every kernel."""
    assert kernel
    with pytest.raises(OSError, match=problem):
        os.close(open_inside(folder, path, flags=os.O_RDONLY))


def test_a_plain_way_is_gone(folder: int, kernel: str, tmp_path: Path) -> None:
    """Through folders, to the folder itself, and to a link as such."""
    assert kernel
    (tmp_path / "inside" / "a" / "b").mkdir(parents=True)
    (tmp_path / "inside" / "a" / "b" / "c").write_text("deep")
    with os.fdopen(open_inside(folder, "./a/b/c", flags=os.O_RDONLY)) as file:
        assert file.read() == "deep"
    for path, expected in ((".", tmp_path / "inside"), ("out", tmp_path / "inside" / "out")):
        fd = open_inside(folder, path, flags=os.O_PATH)
        assert os.fstat(fd).st_ino == expected.lstat().st_ino
        os.close(fd)


def test_a_link_on_the_way_is_no_way(folder: int, kernel: str, tmp_path: Path) -> None:
    """Wherever it leads, and no descriptor is left open."""
    assert kernel
    (tmp_path / "inside" / "a").mkdir()
    (tmp_path / "inside" / "a" / "link").symlink_to(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match=r"links|Not a directory"):
        open_inside(folder, "a/link/secret", flags=os.O_RDONLY)
    assert len(os.listdir("/proc/self/fd")) == before
