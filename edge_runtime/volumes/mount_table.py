"""What is mounted where, as the kernel tells; pure.

Source: proc_pid_mountinfo(5); the kernel's fs/proc_namespace.c ``show_mountinfo``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ESCAPE = re.compile(r"\\([0-7]{3})")
# Optional fields, of any number, end with it.
_SEPARATOR = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class MountPoint:
    """One line of ``mountinfo``.

    Attributes:
        mount_id: Unique while it is mounted.
        parent_id: The mount that it stands on; of a stack of mounts at one path each stands on the
            one before.
        device: ``major:minor`` of the file system.
        root: What of the file system is mounted; "/" for all of it.
        path: Where it is mounted, absolute.
        options: Of the mount alone, such as ``ro``.
        tags: ``shared:N``, ``master:N`` and so on; none for a private mount.
        fs_type: Such as ``tmpfs``.
        source: What was mounted, as the file system names it.
        super_options: Of the whole file system.
    """

    mount_id: int
    parent_id: int
    device: str
    root: str
    path: str
    options: tuple[str, ...]
    tags: tuple[str, ...]
    fs_type: str
    source: str
    super_options: tuple[str, ...]

    @property
    def is_read_only(self) -> bool:
        """Whether nothing can be written through this mount."""
        return "ro" in self.options or "ro" in self.super_options


def parse_mountinfo(text: str) -> tuple[MountPoint, ...]:
    """Read ``/proc/<pid>/mountinfo``.

    Raises:
        ValueError: A line is not of that form.
    """
    return tuple(_parse_line(line) for line in text.split("\n") if line)


def _parse_line(line: str) -> MountPoint:
    words = line.split(" ")
    try:
        end = words.index(_SEPARATOR, 6)
        mount_id, parent_id, device, root, path, options = words[:6]
        fs_type, source, super_options = words[end + 1 : end + 4]
        return MountPoint(
            mount_id=int(mount_id),
            parent_id=int(parent_id),
            device=device,
            root=_unescape(root),
            path=_unescape(path),
            options=tuple(options.split(",")),
            tags=tuple(words[6:end]),
            fs_type=_unescape(fs_type),
            source=_unescape(source),
            super_options=tuple(super_options.split(",")),
        )
    except ValueError as exc:
        raise ValueError(f"not a line of mountinfo: {line!a}") from exc


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), text)


def mounts_below(mounts: tuple[MountPoint, ...], folder: str) -> tuple[MountPoint, ...]:
    """Return what is mounted at a folder or anywhere below it, in the order to unmount it in.

    Args:
        mounts: The whole table.
        folder: Absolute, without links, "..", or a slash at its end.
    """
    found = [each for each in mounts if each.path == folder or each.path.startswith(f"{folder}/")]
    by_id = {each.mount_id: each for each in mounts}
    # Of those that stand equally deep the last in the table first: it may hide the others.
    found.reverse()
    return tuple(sorted(found, key=lambda each: _depth(each, by_id), reverse=True))


def reached_below(mounts: tuple[MountPoint, ...], folder: str) -> tuple[MountPoint, ...]:
    """Return those of `mounts_below` that their paths lead to, the ones that others stand on first.

    What is mounted above a mount, or above a folder on the way to it, hides it: its path leads to
    something else then, perhaps out of the folder by a link.
    """
    by_id = {each.mount_id: each for each in mounts}
    below = mounts_below(mounts, folder)
    # The uppermost at each path.
    tops = {each.path: each.mount_id for each in reversed(below)}
    return tuple(
        each for each in reversed(below) if _hiders(each, tops) <= _standing(each.mount_id, by_id)
    )


def ends_below(mounts: tuple[MountPoint, ...], folder: str) -> tuple[MountPoint, ...]:
    """Return those of `reached_below` on which nothing stands: what can be unmounted first."""
    parents = {each.parent_id for each in mounts if each.parent_id != each.mount_id}
    reached = reached_below(mounts, folder)
    return tuple(each for each in reversed(reached) if each.mount_id not in parents)


def _hiders(mount: MountPoint, tops: dict[str, int]) -> set[int]:
    """Return what is mounted at a mount's path and on the way to it, as far as is known."""
    names = mount.path.split("/")
    ways = ("/".join(names[:number]) for number in range(2, len(names) + 1))
    return {tops[way] for way in ways if way in tops}


def _standing(mount_id: int, by_id: dict[int, MountPoint]) -> set[int]:
    """Return a mount and all that it stands on."""
    seen: set[int] = set()
    while mount_id in by_id and mount_id not in seen:
        seen.add(mount_id)
        mount_id = by_id[mount_id].parent_id
    return seen


def mount_at(mounts: tuple[MountPoint, ...], path: str) -> MountPoint | None:
    """Return what is seen at a path because it is mounted right there, None for nothing.

    Args:
        mounts: The whole table.
        path: Absolute, without links, "..", or a slash at its end.
    """
    found = [each for each in mounts if each.path == path]
    by_id = {each.mount_id: each for each in mounts}
    return max(found, key=lambda each: _depth(each, by_id), default=None)


def _depth(mount: MountPoint, by_id: dict[int, MountPoint]) -> int:
    """Return on how many mounts one stands; a table that was read in pieces may have a ring."""
    return len(_standing(mount.mount_id, by_id))
