"""Write the files of a volume so that a reader sees all old ones or all new ones, never a mixture.

    <volume>/..2026_01_02_15_04_05.<random>/key     what was written at one time
    <volume>/..data -> ..2026_01_02_15_04_05.…      replaced by a rename, which is atomic
    <volume>/key -> ..data/key                      what containers open

A crash leaves either the old or the new state, and perhaps more beside it, which the next write
removes.

Source: kubernetes pkg/volume/util/atomic_writer.go.
"""

from __future__ import annotations

import os
import re
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.volumes.tree_removal import remove_tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.volumes.payload import Payload, ProjectedFile

_DATA = "..data"
_NEW_DATA = "..data_tmp"
_TIMESTAMP = "..%Y_%m_%d_%H_%M_%S."
_WRITTEN = re.compile(r"\.\.\d{4}(_\d\d){5}\..+", re.ASCII)
_FOLDER_MODE = 0o755
# Until it has its own mode and owner, nobody else's.
_NEW_FILE_MODE = 0o600
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def write_payload(
    folder: Path,
    payload: Payload,
    *,
    set_ownership: Callable[[], None] | None = None,
    now: datetime | None = None,
) -> bool:
    """Make a volume hold exactly these files; blocks.

    Args:
        folder: The volume; it is there, and only this function writes into it.
        payload: The files, as `payload.check_payload` returned them.
        set_ownership: Called when new files are there and before they are seen.
        now: For the name of the folder of new files, None for the clock's.

    Returns:
        Whether anything was written: what holds the same bytes stays.

    Raises:
        OSError: The disk refuses; readers see what was there before.
    """
    current = _current(folder)
    is_new = not current or _differs(folder / current, payload)
    if is_new:
        current = _write(folder, payload, now or datetime.now(UTC))
        if set_ownership is not None:
            set_ownership()
        _swap(folder, current)
    _link(folder, payload)
    _remove_leftovers(folder, payload, current)
    return is_new


def _current(folder: Path) -> str:
    """Return the name of the folder of files that readers see, "" for none."""
    try:
        return os.readlink(folder / _DATA)
    except FileNotFoundError:
        return ""


def _differs(written: Path, payload: Payload) -> bool:
    found = {
        os.path.relpath(os.path.join(path, name), written)
        for path, _, names in os.walk(written)
        for name in names
    }
    return found != payload.keys() or any(
        _read(written / path) != file.data for path, file in payload.items()
    )


def _read(path: Path) -> bytes:
    with os.fdopen(os.open(path, _READ_FLAGS), "rb") as file:
        return file.read()


def _write(folder: Path, payload: Payload, now: datetime) -> str:
    new = Path(tempfile.mkdtemp(prefix=now.strftime(_TIMESTAMP), dir=folder))
    # Whatever the process's umask is.
    new.chmod(_FOLDER_MODE)
    for path, file in payload.items():
        _make_parents(new, path)
        _write_file(new / path, file)
    return new.name


def _make_parents(new: Path, path: str) -> None:
    for each in reversed(Path(path).parents[:-1]):
        folder = new / each
        if not folder.exists():
            folder.mkdir()
            folder.chmod(_FOLDER_MODE)


def _write_file(path: Path, file: ProjectedFile) -> None:
    fd = os.open(path, _WRITE_FLAGS, _NEW_FILE_MODE)
    with os.fdopen(fd, "wb") as opened:
        opened.write(file.data)
        if file.owner is not None:
            os.fchown(fd, file.owner, -1)
        os.fchmod(fd, file.mode)


def _swap(folder: Path, current: str) -> None:
    # A crash may have left it.
    (folder / _NEW_DATA).unlink(missing_ok=True)
    (folder / _NEW_DATA).symlink_to(current)
    (folder / _NEW_DATA).rename(folder / _DATA)


def _link(folder: Path, payload: Payload) -> None:
    owners = {path.partition("/")[0]: file.owner for path, file in payload.items()}
    for name, owner in owners.items():
        link = folder / name
        # A folder of that name is where another volume is mounted; it hides what this one has.
        if not os.path.lexists(link):
            link.symlink_to(f"{_DATA}/{name}")
            if owner is not None:
                os.chown(link, owner, -1, follow_symlinks=False)


def _remove_leftovers(folder: Path, payload: Payload, current: str) -> None:
    wanted = {path.partition("/")[0] for path in payload}
    for name in os.listdir(folder):
        path = folder / name
        if name == _NEW_DATA:
            path.unlink()
        elif name in (_DATA, current):
            continue
        elif _WRITTEN.fullmatch(name):
            remove_tree(path)
        elif name not in wanted and path.is_symlink():
            path.unlink()
