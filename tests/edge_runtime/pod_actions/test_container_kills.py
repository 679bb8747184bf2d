"""Which running containers are killed, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.objects.container import Container, ContainerID, ContainerKind
from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.probe_results import NO_PROBES, ContainerProbes, ProbeView
from edge_runtime.objects.runtime_status import ContainerState, PodRuntimeStatus
from edge_runtime.pod_actions.container_kills import (
    KillReason,
    kill_changed,
    kill_surplus,
    kill_unknown,
    kill_unlive,
    kill_unstarted,
)
from edge_runtime.runtime.cri_config import container_hash
from tests.fakes.runtime_values import container as attempt

REGULAR = Container({"name": "c", "image": "i"})
INIT = Container({"name": "c", "image": "i"}, kind=ContainerKind.INIT)


def found(container_id: str = "c0", **verdicts: Any) -> ProbeView:  # noqa: ANN401  # verdicts
    """What probes found of one attempt."""
    probes = ContainerProbes(container_id=ContainerID(container_id), **verdicts)
    return ProbeView(containers={"c": probes})


@pytest.mark.parametrize(
    ("known_hash", "message"),
    [
        (container_hash(REGULAR), None),
        ("", None),  # of another hand, or of a runtime that lost annotations: not changed
        ("1234", "Container c definition changed"),
    ],
)
def test_changed_definition_kills(known_hash: str, message: str | None) -> None:
    """Only where it is known what it was."""
    kill = kill_changed(REGULAR, attempt(container_hash=known_hash))
    assert (kill.message if kill is not None else None) == message


@pytest.mark.parametrize(
    ("probes", "kills"),
    [
        (NO_PROBES, False),
        (found(live=None), False),
        (found(live=True), False),
        (found(live=False), True),
        (found("another-attempt", live=False), False),
    ],
)
def test_failed_liveness_kills(probes: ProbeView, kills: bool) -> None:
    """Only a verdict, and only on this attempt."""
    kill = kill_unlive(REGULAR, attempt(), probes)
    assert (kill is not None) is kills
    if kill is not None:
        assert (kill.id, kill.name) == ("c0", "c")
        assert kill.message == "Container c failed liveness probe"
        assert kill.reason is KillReason.LIVENESS_PROBE


@pytest.mark.parametrize(("started", "kills"), [(None, False), (True, False), (False, True)])
def test_failed_startup_kills(started: bool | None, kills: bool) -> None:
    """A probe that still runs does not."""
    kill = kill_unstarted(INIT, attempt(), found(started=started))
    assert (kill is not None) is kills
    if kill is not None:
        assert kill.message == "Init container c failed startup probe"
        assert kill.reason is KillReason.STARTUP_PROBE


@pytest.mark.parametrize(("container", "noun"), [(REGULAR, "Container"), (INIT, "Init container")])
def test_what_may_run_is_killed_before_another_starts(container: Container, noun: str) -> None:
    """With a kubelet's words."""
    kill = kill_unknown(container, attempt(state=ContainerState.UNKNOWN))
    assert kill.message == f'{noun} is in "unknown" state, try killing it before restart'
    assert kill.reason is KillReason.UNKNOWN


def test_of_two_that_run_the_older_one_goes() -> None:
    """The newest attempt stays, ended ones and other containers are left alone."""
    status = PodRuntimeStatus(
        uid=PodUID("u"),
        sandboxes=(),
        containers=(
            attempt("new", attempt=2, created_at_s=30.0),
            attempt("old", attempt=1, created_at_s=20.0),
            attempt("ended", attempt=0, state=ContainerState.EXITED),
            attempt("other", name="d"),
        ),
    )
    (kill,) = kill_surplus(REGULAR, status)
    assert kill.id == "old"
    assert kill_surplus(Container({"name": "d"}), status) == []
