"""The few ways in which a file that must survive a power cut is touched.

Each method is one step that a power cut may fall before or after; what is not synced may be lost,
in any order. ``identity_files`` puts them into an order in which nothing that matters can be.
Tests put a recording layer in this place and cut the power at every step.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600


class DurableFiles:
    """Steps on the file system; every method raises OSError."""

    def make_folder(self, path: Path) -> None:
        """Make a folder that only its owner enters."""
        path.mkdir(mode=FOLDER_MODE)

    def write(self, path: Path, data: bytes) -> None:
        """Write a whole file that only its owner reads; what was there is replaced in place."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, FILE_MODE)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, FILE_MODE)
            file.write(data)

    def sync(self, path: Path) -> None:
        """Return once a file's bytes are on the disk."""
        self._sync(path, os.O_RDONLY | os.O_NOFOLLOW)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name; who had that name is gone in the same instant."""
        source.rename(target)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def sync_folder(self, path: Path) -> None:
        """Return once a folder's names are on the disk."""
        self._sync(path, os.O_RDONLY | os.O_DIRECTORY)

    def _sync(self, path: Path, flags: int) -> None:
        descriptor = os.open(path, flags | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
