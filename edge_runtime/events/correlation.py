"""Decide which events are the same event again and which are too many.

Source: kubernetes client-go tools/record/events_cache.go ``EventCorrelator``: the same event counts
up; the tenth and later wordings of one reason within ten minutes become one event; an object has 25
events of a type at once and one more every five minutes.
"""

from __future__ import annotations

import dataclasses
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
        message: "" for one that combines similar events.
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
        self._similar: _Bounded[tuple[str, str, str], _Similar] = _Bounded()
        self._buckets: _Bounded[tuple[str, str], _Bucket] = _Bounded()

    def combine(self, key: EventKey, *, now_s: float) -> EventKey:
        """Return the key to count the event under.

        A pod that says the same thing in ever new words gets one event that combines them, of
        whichever of its containers they speak.

        Source: ``EventAggregator.EventAggregate``.
        """
        similar = self._similar.touch((key.uid, key.event_type, key.reason), _Similar())
        if now_s - similar.last_s > SIMILAR_INTERVAL_S:
            similar.messages.clear()
        similar.last_s = now_s
        if key.message not in similar.messages and len(similar.messages) < MAX_SIMILAR - 1:
            similar.messages.add(key.message)
        if key.message in similar.messages:
            return key
        return dataclasses.replace(key, field_path="", message="")

    def admit(self, key: EventKey, *, now_s: float) -> bool:
        """Take a token of the object's; without one the event is counted but not told.

        Source: ``EventSourceObjectSpamFilter.Filter``.
        """
        bucket = self._buckets.touch(
            (key.uid, key.event_type), _Bucket(tokens=BURST, refilled_at_s=now_s)
        )
        refill = (now_s - bucket.refilled_at_s) / REFILL_INTERVAL_S
        bucket.tokens = min(BURST, bucket.tokens + refill)
        bucket.refilled_at_s = now_s
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True
