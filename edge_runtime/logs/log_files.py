"""The files of one log: put aside, compressed, dropped. All of it blocks.

Others than edgelet may write below the log folder (a pod that has it as ``hostPath``), so nothing
here goes by a path: each call opens the container's own folder without following links, and works
on names in it. What is no file of ours is neither read nor written through.
"""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import shutil
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.logs.descriptor import (
    LogNotFound,
    LogReadError,
    open_log_file,
    open_log_folder,
)
from edge_runtime.logs.log_folder import COMPRESSED_SUFFIX, TEMPORARY_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from edge_runtime.logs.descriptor import Descriptor

_COPY_BYTES = 1 << 20
# O_EXCL follows no link either: what stands there already is not written to.
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

logger = logging.getLogger(__name__)


def log_size_bytes(path: Path) -> int | None:
    """Return how large the file is that is written now, None where there is none.

    Raises:
        LogReadError: The folder is none of ours.
    """
    try:
        with _opened(path) as files:
            return files.size_bytes(path.name)
    except LogNotFound:
        return None


def make_room(path: Path, *, max_files: int) -> str:
    """Remove the oldest files and compress the others; takes as long as gzip does.

    Returns:
        The name of the newest file that was put aside, without ``.gz``; "" for none.

    Raises:
        LogReadError: The folder is none of ours.
        OSError: The disk failed.
    """
    with _opened(path) as files:
        whole, leftovers = files.put_aside_so_far()
        for name in leftovers:
            files.remove(name)
        # With the file that is put aside now and the one that comes, so many may stay.
        surplus = max(len(whole) - max(max_files - 2, 0), 0)
        for name in whole[:surplus]:
            files.remove(name)
        for name in whole[surplus:]:
            if not name.endswith(COMPRESSED_SUFFIX):
                files.compress(name)
    return whole[-1].removesuffix(COMPRESSED_SUFFIX) if whole else ""


def put_aside(path: Path, *, name: str) -> None:
    """Give the file that is written now another name in its folder.

    Raises:
        LogReadError: The folder is none of ours.
        OSError: There is no such file.
    """
    with _opened(path) as files:
        files.rename(path.name, name)


def give_back(path: Path, *, name: str) -> None:
    """Undo ``put_aside``, unless there is a new file by now.

    Raises:
        LogReadError: The folder is none of ours.
        OSError: There is no such file.
    """
    with _opened(path) as files:
        if files.size_bytes(path.name) is None:
            files.rename(name, path.name)


def remove_log_files(path: Path) -> None:
    """Remove a log and all that was put aside of it; in a folder that is none of ours is none.

    Raises:
        OSError: One is there and cannot be removed.
    """
    try:
        with _opened(path) as files:
            for name in (*files.names(), path.name):
                files.remove(name)
    except LogNotFound:
        return
    except LogReadError as exc:
        # It goes with the pod's folder, as the link that it is.
        logger.warning("a log is not removed", extra={"path": str(path), "reason": exc.reason})


@contextmanager
def _opened(path: Path) -> Iterator[_LogFiles]:
    with closing(open_log_folder(str(path))) as folder:
        fd = _own(folder)
        try:
            yield _LogFiles(path=path, folder=folder, fd=fd)
        finally:
            os.close(fd)


def _own(descriptor: Descriptor) -> int:
    # What fails with it is no failure to read a log, as with one that is lent.
    with descriptor.lend() as fd:
        return os.dup(fd)


@dataclass(frozen=True, slots=True, kw_only=True)
class _LogFiles:
    path: Path
    folder: Descriptor
    fd: int

    def names(self) -> list[str]:
        """Return what was put aside and what belongs to it, oldest first; folders are nobody's."""
        prefix = f"{self.path.name}."
        with os.scandir(self.fd) as entries:
            return sorted(
                each.name
                for each in entries
                if each.name.startswith(prefix) and not each.is_dir(follow_symlinks=False)
            )

    def put_aside_so_far(self) -> tuple[list[str], list[str]]:
        """Return the whole files, and what a rotation that was cut off left behind."""
        found = self.names()
        names = set(found)
        whole = [
            each
            for each in found
            if each.endswith(COMPRESSED_SUFFIX)
            or (not each.endswith(TEMPORARY_SUFFIX) and each + COMPRESSED_SUFFIX not in names)
        ]
        return whole, [each for each in found if each not in whole]

    def size_bytes(self, name: str) -> int | None:
        with contextlib.suppress(FileNotFoundError):
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_size
        return None

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.fd)

    def rename(self, name: str, new_name: str) -> None:
        os.rename(name, new_name, src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def compress(self, name: str) -> None:
        """Compress one file; what is none of ours stays as it is until it is the oldest."""
        path = str(self.path.with_name(name))
        try:
            source = open_log_file(self.folder, path)
        except LogReadError as exc:
            logger.warning("a log is not compressed", extra={"path": path, "reason": exc.reason})
            return
        with closing(source), open(_own(source), "rb") as raw:
            self._write_compressed(raw, name)
        self.remove(name)

    def _write_compressed(self, source: BinaryIO, name: str) -> None:
        temporary = name + TEMPORARY_SUFFIX
        mode = os.fstat(source.fileno()).st_mode & 0o777
        target_fd = os.open(temporary, _NEW_FILE, mode, dir_fd=self.fd)
        try:
            with open(target_fd, "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw) as target:
                shutil.copyfileobj(source, target, _COPY_BYTES)
            self.rename(temporary, name + COMPRESSED_SUFFIX)
        finally:
            self.remove(temporary)
