"""Files whose power is cut at a chosen step, and every disk that may be found afterwards.

The model is as unkind as POSIX allows: the bytes of a file that was not synced may be lost in whole
or in part, and each name that was made, changed or removed since its folder was last synced may or
may not be on the disk, independently of the others.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.uplink.durable_files import DurableFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Path below the root to content; None is a folder.
Disk = dict[str, bytes | None]


class PowerCut(BaseException):
    """The machine is off; nothing that runs may catch it."""


@dataclass(eq=False)
class _Inode:
    data: bytes | None
    is_synced: bool = True


class CuttableFiles(DurableFiles):
    """The file system below ``root``, switched off before step number ``cut_at``.

    Attributes:
        steps: How many steps were made.
    """

    def __init__(self, root: Path, *, cut_at: int) -> None:
        self._root = root
        self._cut_at = cut_at
        self.steps = 0
        self._live = {name: _Inode(data) for name, data in read_disk(root).items()}
        self._durable = dict(self._live)
        # Changes of names that no sync has covered: the folder, and what to do to the durable ones.
        self._unsynced: list[tuple[str, Callable[[dict[str, _Inode]], None]]] = []

    def make_folder(self, path: Path) -> None:
        """Make a folder."""
        self._step()
        super().make_folder(path)
        self._add(path, _Inode(None))

    def write(self, path: Path, data: bytes) -> None:
        """Write a file."""
        self._step()
        super().write(path, data)
        name = self._name(path)
        if name in self._live:
            # The old bytes went with O_TRUNC.
            self._live[name].data, self._live[name].is_synced = data, False
        else:
            self._add(path, _Inode(data, is_synced=False))

    def sync(self, path: Path) -> None:
        """Sync a file."""
        self._step()
        super().sync(path)
        self._live[self._name(path)].is_synced = True

    def rename(self, source: Path, target: Path) -> None:
        """Rename a file."""
        self._step()
        super().rename(source, target)
        old, new = self._name(source), self._name(target)
        inode = self._live.pop(old)
        self._live[new] = inode

        def change(names: dict[str, _Inode]) -> None:
            names.pop(old, None)
            names[new] = inode

        self._unsynced.append((self._name(target.parent), change))

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        self._step()
        super().unlink(path)
        name = self._name(path)
        del self._live[name]

        def change(names: dict[str, _Inode]) -> None:
            names.pop(name, None)

        self._unsynced.append((self._name(path.parent), change))

    def sync_folder(self, path: Path) -> None:
        """Sync a folder's names."""
        self._step()
        super().sync_folder(path)
        folder = self._name(path)
        for changed, change in self._unsynced:
            if changed == folder:
                change(self._durable)
        self._unsynced = [entry for entry in self._unsynced if entry[0] != folder]

    def disks(self) -> list[Disk]:
        """Return every disk that may be found after the power is back."""
        found: list[Disk] = []
        for chosen in self._choices():
            names = dict(self._durable)
            for _, change in chosen:
                change(names)
            for left in (0.0, 0.5, 1.0):
                disk = _reachable({name: _content(inode, left) for name, inode in names.items()})
                if disk not in found:
                    found.append(disk)
        return found

    def _choices(self) -> Iterator[list[tuple[str, Callable[[dict[str, _Inode]], None]]]]:
        for kept in itertools.product((True, False), repeat=len(self._unsynced)):
            yield list(itertools.compress(self._unsynced, kept))

    def _add(self, path: Path, inode: _Inode) -> None:
        name = self._name(path)
        self._live[name] = inode
        self._unsynced.append((self._name(path.parent), lambda names: names.update({name: inode})))

    def _step(self) -> None:
        if self.steps == self._cut_at:
            raise PowerCut
        self.steps += 1

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self._root))


def read_disk(root: Path) -> Disk:
    """Return what lies below a folder."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
        for path in sorted(root.rglob("*"))
    }


def write_disk(root: Path, disk: Disk) -> None:
    """Make a folder that has this below it."""
    root.mkdir(parents=True)
    for name, data in sorted(disk.items()):
        path = root / name
        if data is None:
            path.mkdir(mode=0o700)
        else:
            path.write_bytes(data)
            path.chmod(0o600)


def _content(inode: _Inode, left: float) -> bytes | None:
    if inode.is_synced or inode.data is None:
        return inode.data
    return inode.data[: int(len(inode.data) * left)]


def _reachable(disk: Disk) -> Disk:
    """Leave out what lies in folders that are not there."""
    return {
        name: data
        for name, data in disk.items()
        if all(str(parent) in disk for parent in Path(name).parents if str(parent) != ".")
    }
