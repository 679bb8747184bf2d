"""Quantities and times as people read them; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

# Stands for what is not known.
UNKNOWN = "-"
_KIB = 1024.0
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def bytes_text(count: int | None) -> str:
    """Return ``12.3 MiB``; a dash for what is not known."""
    if count is None:
        return UNKNOWN
    value = float(count)
    for unit in _UNITS:
        if value < _KIB or unit == _UNITS[-1]:
            break
        value /= _KIB
    return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"


def cores_text(nano_cores: int | None) -> str:
    """Return thousandths of a core as Kubernetes writes them, ``250m``."""
    return UNKNOWN if nano_cores is None else f"{round(nano_cores / 1e6)}m"


def milliseconds_text(seconds: float | None) -> str:
    """Return ``12.3 ms``."""
    return UNKNOWN if seconds is None else f"{seconds * 1000:.1f} ms"


def duration_text(seconds: float) -> str:
    """Return how long something lasts in its two largest units, as kubectl does: ``3d4h``."""
    left = max(round(seconds), 0)
    parts: list[str] = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
        elif parts:
            break
    return "".join(parts[:2])


def moment_text(moment: datetime) -> str:
    """Return ``2026-11-22 03:04:05 UTC``."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
