"""The link over the last hours: a ring of samples; pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

SAMPLE_PERIOD_S: Final = 10.0
HISTORY_S: Final = 6 * 3600.0
MAX_SAMPLES: Final = int(HISTORY_S / SAMPLE_PERIOD_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSample:
    """The link at one moment.

    Attributes:
        at: UTC.
        is_connected: Whether a connection carried a session, all the time since the last sample.
        round_trip_s: Of the last PING; None without a connection.
    """

    at: datetime
    is_connected: bool
    round_trip_s: float | None


class LinkHistory:
    """Samples, the oldest first; at most MAX_SAMPLES, then the oldest goes."""

    def __init__(self) -> None:
        self._samples: deque[LinkSample] = deque(maxlen=MAX_SAMPLES)
        self._was_lost = False

    def lost(self) -> None:
        """Note that the connection is gone, if only for a moment: the next sample tells."""
        self._was_lost = True

    def add(self, *, at: datetime, is_connected: bool, round_trip_s: float | None) -> None:
        """Add what is seen now."""
        self._samples.append(
            LinkSample(
                at=at,
                is_connected=is_connected and not self._was_lost,
                round_trip_s=round_trip_s if is_connected else None,
            )
        )
        self._was_lost = False

    def samples(self) -> tuple[LinkSample, ...]:
        """Return all samples."""
        return tuple(self._samples)
