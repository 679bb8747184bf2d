"""Whether a path of the machine lies below an allowed one; pure, and only about the text.

The API server refuses ``..`` in host paths, but the edge does not take its word for it. Symbolic
links are not the text's business: whoever mounts a host path MUST ask again with the resolved one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def is_below(path: str, allowed: Iterable[str]) -> bool:
    """Return whether ``path`` is one of the allowed folders or lies in one of them.

    Args:
        path: As the pod names it; one that is not absolute, or climbs with ``..``, lies nowhere.
        allowed: Absolute paths of folders.
    """
    wanted = segments_of(path)
    if wanted is None:
        return False
    folders = (segments_of(folder) for folder in allowed)
    return any(folder is not None and wanted[: len(folder)] == folder for folder in folders)


def segments_of(path: str) -> tuple[str, ...] | None:
    """Return the names on the way to a path, None where the text does not say where it leads."""
    if not path.startswith("/") or "\0" in path:
        return None
    names = tuple(name for name in path.split("/") if name not in ("", "."))
    return None if ".." in names else names
