"""Verdicts belong to one attempt of one container."""

from __future__ import annotations

from edge_runtime.objects.container import ContainerID, ProbeKind
from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.probe_results import NO_PROBES, ContainerProbes
from edge_runtime.prober.results import ProbeResults

UID = PodUID("u")
FIRST, SECOND = ContainerID("first"), ContainerID("second")


def test_verdicts_are_new_once() -> None:
    """The same verdict again says nothing."""
    results = ProbeResults()
    results.see(UID, "c", FIRST)
    assert results.set(UID, "c", FIRST, ProbeKind.READINESS, verdict=True)
    assert not results.set(UID, "c", FIRST, ProbeKind.READINESS, verdict=True)
    assert results.set(UID, "c", FIRST, ProbeKind.STARTUP, verdict=False, failure="no")
    assert results.set(UID, "c", FIRST, ProbeKind.LIVENESS, verdict=True)
    expected = ContainerProbes(
        container_id=FIRST, started=False, live=True, ready=True, failure="no"
    )
    assert results.view(UID).of("c", FIRST) == expected


def test_a_late_verdict_on_an_earlier_attempt_is_dropped() -> None:
    """It was under way when the container was replaced."""
    results = ProbeResults()
    results.see(UID, "c", FIRST)
    results.see(UID, "c", SECOND)
    assert not results.set(UID, "c", FIRST, ProbeKind.LIVENESS, verdict=False)
    assert results.view(UID).of("c", SECOND) == ContainerProbes(container_id=SECOND)


def test_a_new_attempt_has_no_verdicts() -> None:
    """A ready container that crashed is not ready again before somebody asked."""
    results = ProbeResults()
    results.see(UID, "c", FIRST)
    results.set(UID, "c", FIRST, ProbeKind.READINESS, verdict=True)
    results.see(UID, "c", SECOND)
    assert results.of(UID, "c", SECOND).ready is None
    assert results.of(UID, "c", FIRST).ready is None


def test_what_was_seeded_is_kept_until_somebody_knows_better() -> None:
    """A probe that sees the attempt for the first time does not undo it."""
    results = ProbeResults()
    results.seed(UID, "c", ContainerProbes(container_id=FIRST, ready=True))
    results.see(UID, "c", FIRST)
    assert results.of(UID, "c", FIRST).ready is True
    assert results.set(UID, "c", FIRST, ProbeKind.READINESS, verdict=False)


def test_a_removed_pod_is_unknown() -> None:
    """So is one that never came, and what is told of it is dropped."""
    results = ProbeResults()
    results.see(UID, "c", FIRST)
    results.remove(UID)
    assert results.view(UID) is NO_PROBES
    assert not results.set(UID, "c", FIRST, ProbeKind.READINESS, verdict=True)
