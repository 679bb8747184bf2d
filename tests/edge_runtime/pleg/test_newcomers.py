"""What is new and lives is no news for a while; all else is at once."""

from __future__ import annotations

import pytest

from edge_runtime.objects.pod import PodUID
from edge_runtime.pleg.events import PodLifecycleEvent, PodLifecycleEventType
from edge_runtime.pleg.newcomers import OWN_DOING_S, Newcomers


def event(kind: str, runtime_id: str = "a") -> PodLifecycleEvent:
    """One change of a pod."""
    return PodLifecycleEvent(uid=PodUID("u"), type=PodLifecycleEventType(kind), id=runtime_id)


@pytest.mark.parametrize("kind", ["started", "changed"])
def test_what_is_new_counts_once_it_was_unknown_for_long(kind: str) -> None:
    """From when it was first listed."""
    newcomers = Newcomers()
    for now_s in (100.0, 102.0, 99.9 + OWN_DOING_S):
        assert newcomers.are_all([event(kind)], known=(), now_s=now_s)
    assert not newcomers.are_all([event(kind)], known=(), now_s=100.0 + OWN_DOING_S)


@pytest.mark.parametrize(
    ("kind", "known"), [("died", ()), ("removed", ("a",)), ("changed", ("a",))]
)
def test_what_ended_or_was_known_counts_at_once(kind: str, known: tuple[str, ...]) -> None:
    """Also beside something new."""
    newcomers = Newcomers()
    assert not newcomers.are_all([event(kind)], known=known, now_s=0.0)
    assert not newcomers.are_all([event("started", "b"), event(kind)], known=known, now_s=0.0)


def test_what_is_gone_is_forgotten() -> None:
    """Its id begins anew."""
    newcomers = Newcomers()
    assert newcomers.are_all([event("started")], known=(), now_s=0.0)
    newcomers.keep({"b"})
    assert newcomers.are_all([event("started")], known=(), now_s=OWN_DOING_S)
