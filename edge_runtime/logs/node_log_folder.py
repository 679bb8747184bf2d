"""The machine's own log folder: its files and lists of them, never what a link leads to. It blocks.

A kubelet follows links out of the folder (``http.FileServer``); here a path with a link is refused,
since more than root may write below /var/log.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import closing
from typing import TYPE_CHECKING

from edge_runtime.logs.descriptor import Descriptor, LogNotFound, LogReadError

if TYPE_CHECKING:
    from collections.abc import Sequence

READ_BYTES = 256 << 10
MAX_NAMES = 100_000
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Without O_NONBLOCK a pipe of that name would stop us before we see what it is.
_ENTRY = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class NodeLogFile:
    """An open file of the folder, read up to the size it had then: it may grow for ever."""

    def __init__(self, descriptor: Descriptor, size: int) -> None:
        self._descriptor = descriptor
        self._size = size
        self._offset = 0

    def read(self) -> bytes:
        """Return the next bytes; b"" at the end.

        Raises:
            LogReadError: The disk failed.
        """
        with self._descriptor.lend() as fd:
            data = os.pread(fd, min(READ_BYTES, self._size - self._offset), self._offset)
        self._offset += len(data)
        return data

    def close(self) -> None:
        """Close it, at the end of a call that another thread still makes."""
        self._descriptor.close()


class NodeLogFolder:
    """What is below the folder."""

    def __init__(self, root: str) -> None:
        self._root = root

    def open(self, parts: Sequence[str]) -> NodeLogFile | list[str]:
        """Open a file, or list a folder: sorted names, those of folders with a slash.

        Raises:
            LogNotFound: There is nothing of that name.
            LogReadError: It is a link, leads through one, is neither file nor folder, or cannot be
                read.
        """
        path = "/".join(parts)
        if any(part in {"", ".", ".."} or "/" in part or "\0" in part for part in parts):
            raise LogNotFound(path, os.strerror(errno.ENOENT))
        found = _opened(self._root, _FOLDER, path)
        for part in parts:
            with closing(found), found.lend() as fd:
                found = _opened(part, _ENTRY, path, folder_fd=fd)
        with found.lend() as fd:
            status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            return NodeLogFile(found, status.st_size)
        with closing(found):
            if not stat.S_ISDIR(status.st_mode):
                raise LogReadError(path, "it is not a regular file")
            with found.lend() as fd, os.scandir(fd) as entries:
                names = [f"{each.name}/" if _is_folder(each) else each.name for each in entries]
        return sorted(names)[:MAX_NAMES]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False)


def _opened(name: str, flags: int, path: str, *, folder_fd: int | None = None) -> Descriptor:
    try:
        return Descriptor(os.open(name, flags, dir_fd=folder_fd), path)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise LogNotFound(path, exc.strerror or str(exc)) from exc
    except OSError as exc:
        raise LogReadError(path, exc.strerror or str(exc)) from exc
