"""The shared mount of a site's root folder, and what is left mounted below a folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster.processes import run

if TYPE_CHECKING:
    from collections.abc import Iterable

MOUNTINFO = Path("/proc/self/mountinfo")


def mounts_below(folder: Path, *, mountinfo: str | None = None) -> list[Path]:
    """Return mount points at or below a folder in the order to unmount: deepest and latest first.

    Args:
        folder: An absolute path.
        mountinfo: Text in the form of ``/proc/self/mountinfo`` (proc(5)), read where not given.
    """
    text = MOUNTINFO.read_text() if mountinfo is None else mountinfo
    points = [_unescape(line.split()[4]) for line in text.splitlines() if line]
    inside = [Path(p) for p in points if p == str(folder) or p.startswith(f"{folder}/")]
    # Sorting is stable in reverse too, so the list is turned first for the latest of equals.
    inside.reverse()
    return sorted(inside, key=lambda p: -len(p.parts))


def share(folder: Path) -> None:
    """Mount a folder onto itself and share it: mounts made inside reach containers, and back."""
    if folder not in mounts_below(folder):
        run(["mount", "--bind", folder, folder])
    run(["mount", "--make-rshared", folder])


def unmount_below(folders: Iterable[Path]) -> None:
    """Unmount all at or below the folders; busy mounts go when their last user does."""
    for folder in folders:
        for point in mounts_below(folder):
            if point in mounts_below(
                folder
            ):  # an unmount in a shared mount may have taken it along
                run(["umount", "--lazy", point])


def can_overlay(folder: Path) -> bool:
    """Tell whether overlayfs works on the filesystem of `folder`, by trying it there."""
    parts = {name: folder / f"overlay-test-{name}" for name in ("lower", "upper", "work", "merged")}
    for part in parts.values():
        part.mkdir(parents=True, exist_ok=True)
    options = f"lowerdir={parts['lower']},upperdir={parts['upper']},workdir={parts['work']}"
    run(["mount", "-t", "overlay", "overlay", "-o", options, parts["merged"]], check=False)
    works = parts["merged"] in mounts_below(parts["merged"])
    unmount_below([parts["merged"]])
    for part in parts.values():
        run(["rm", "-rf", "--one-file-system", part])
    return works


def _unescape(text: str) -> str:
    # Blank, tab, newline and backslash stand as three octal digits (proc(5)).
    return re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), text)
