"""Decide which events are the same event again and which are too many.

Source: kubernetes client-go tools/record/events_cache.go: the same event counts up; more than ten
similar ones within ten minutes become one; an object has 25 events at once and one more every
five minutes.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, TypeVar

MAX_SIMILAR = 10
SIMILAR_INTERVAL_S = 600.0
BURST = 25
REFILL_INTERVAL_S = 300.0
# Entries of each table; the one not used for longest is forgotten, and its event starts anew.
MAX_ENTRIES = 4096

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventKey:
    """What makes two events the same.

    Attributes:
        field_path: ``spec.containers{name}``, "" for the pod itself.
    """

    uid: str
    field_path: str
    event_type: str
    reason: str
    message: str


@dataclass(slots=True)
class _Bucket:
    tokens: float
    refilled_at_s: float


@dataclass(slots=True)
class _Similar:
    messages: set[str] = field(default_factory=set)
    last_s: float = 0.0


class _Bounded(OrderedDict[_K, _V], Generic[_K, _V]):
    """Keeps the MAX_ENTRIES entries used last."""

    def touch(self, key: _K, default: _V) -> _V:
        value = self.setdefault(key, default)
        self.move_to_end(key)
        if len(self) > MAX_ENTRIES:
            self.popitem(last=False)
        return value


class EventCorrelation:
    """Recent events by what they say; times are monotonic seconds."""

    def __init__(self) -> None:
        self._similar: _Bounded[tuple[str, str, str, str], _Similar] = _Bounded()
        self._buckets: _Bounded[str, _Bucket] = _Bounded()

    def correlate(self, key: EventKey, *, now_s: float) -> EventKey | None:
        """Return the key to count the event under, None to drop it.

        A pod that says the same thing in ever new words gets one event that combines them.
        """
        aggregated = self._aggregate(key, now_s)
        return aggregated if self._take_token(key.uid, now_s) else None

    def _aggregate(self, key: EventKey, now_s: float) -> EventKey:
        group = (key.uid, key.field_path, key.event_type, key.reason)
        similar = self._similar.touch(group, _Similar())
        if now_s - similar.last_s > SIMILAR_INTERVAL_S:
            similar.messages.clear()
        similar.last_s = now_s
        if key.message not in similar.messages and len(similar.messages) < MAX_SIMILAR:
            similar.messages.add(key.message)
        if key.message in similar.messages:
            return key
        return EventKey(
            uid=key.uid,
            field_path=key.field_path,
            event_type=key.event_type,
            reason=key.reason,
            message="",
        )

    def _take_token(self, uid: str, now_s: float) -> bool:
        bucket = self._buckets.touch(uid, _Bucket(tokens=BURST, refilled_at_s=now_s))
        refill = (now_s - bucket.refilled_at_s) / REFILL_INTERVAL_S
        bucket.tokens = min(BURST, bucket.tokens + refill)
        bucket.refilled_at_s = now_s
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True
