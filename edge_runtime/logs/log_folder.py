"""The folder of a container's logs: what rotation left of one of them, in order. It blocks."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.logs.compressed_log import CompressedLog
from edge_runtime.logs.descriptor import LogNotFound, open_log_folder
from edge_runtime.logs.log_file import LogFile

if TYPE_CHECKING:
    from edge_runtime.logs.log_file import LogSource

COMPRESSED_SUFFIX = ".gz"
TEMPORARY_SUFFIX = ".tmp"


class LogFolder:
    """A folder that stays open, so that nothing can be put in its place."""

    def __init__(self, path: str) -> None:
        """Open the folder of a log.

        Raises:
            LogReadError: It is not there, a link, or another user's.
        """
        self._log = Path(path)
        self._descriptor = open_log_folder(path)

    def close(self) -> None:
        """Close it, at the end of a call that another thread still makes."""
        self._descriptor.close()

    def rotated(self) -> list[str]:
        """Return the names of what was put aside, without ``.gz``, oldest first.

        Raises:
            LogReadError: The folder cannot be read.
        """
        prefix = f"{self._log.name}."
        with self._descriptor.lend() as fd:
            found = {each.removesuffix(COMPRESSED_SUFFIX) for each in os.listdir(fd)}
        return sorted(
            each
            for each in found
            if each.startswith(prefix) and not each.endswith(TEMPORARY_SUFFIX)
        )

    def open_newest(self) -> LogFile | None:
        """Open the file that is written now, None where there is none."""
        with suppress(LogNotFound):
            return LogFile(str(self._log), folder=self._descriptor)
        return None

    def open_rotated(self, name: str) -> LogSource | None:
        """Open what was put aside, compressed by now or not; None when it is gone."""
        path = str(self._log.with_name(name))
        with suppress(LogNotFound):
            return LogFile(path, folder=self._descriptor)
        with suppress(LogNotFound):
            return CompressedLog(path + COMPRESSED_SUFFIX, folder=self._descriptor)
        return None

    def newest_identity(self) -> tuple[int, int] | None:
        """Return which file the log's path leads to now, None for none."""
        with suppress(LogNotFound), self._descriptor.lend() as fd:
            found = os.stat(self._log.name, dir_fd=fd, follow_symlinks=False)
            return found.st_dev, found.st_ino
        return None
