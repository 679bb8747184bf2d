"""Whether containers have started and are ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.container import Container, ContainerID, ContainerKind
from edge_runtime.objects.probe_results import ContainerProbes
from edge_runtime.pod_status.container_readiness import readiness

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json

PROBE = {"exec": {"command": ["true"]}}
PLAIN: Json = {"name": "c"}
STARTUP: Json = {"name": "c", "startupProbe": PROBE}
READY: Json = {"name": "c", "readinessProbe": PROBE}
BOTH: Json = {**STARTUP, **READY}
RUNNING: Json = {"containerID": "x://c0", "state": {"running": {}}}
WAITING: Json = {"state": {"waiting": {}}}


def ended(exit_code: int) -> Json:
    """The status of a container that ended."""
    return {"containerID": "x://c0", "state": {"terminated": {"exitCode": exit_code}}}


def found(**verdicts: Any) -> ContainerProbes:  # noqa: ANN401  # verdicts
    """What probes found."""
    return ContainerProbes(container_id=ContainerID("c0"), **verdicts)


@pytest.mark.parametrize(
    ("container", "status", "verdicts", "started", "ready"),
    [
        (PLAIN, RUNNING, None, True, True),
        (PLAIN, WAITING, None, False, False),
        (PLAIN, ended(0), None, False, False),
        (READY, RUNNING, None, True, False),
        (READY, RUNNING, found(ready=False), True, False),
        (READY, RUNNING, found(ready=True), True, True),
        (READY, ended(0), found(ready=True), False, False),
        (STARTUP, RUNNING, None, False, False),
        (STARTUP, RUNNING, found(started=False), False, False),
        (STARTUP, RUNNING, found(started=True), True, True),
        # What does not count as started is not ready, whatever the other probe says.
        (BOTH, RUNNING, found(started=False, ready=True), False, False),
        (BOTH, RUNNING, found(started=True, ready=False), True, False),
        (BOTH, RUNNING, found(started=True, ready=True), True, True),
    ],
)
def test_regular_container(
    container: Json, status: Json, verdicts: ContainerProbes | None, started: bool, ready: bool
) -> None:
    """A probe that found nothing yet keeps it unready."""
    expected = {"ready": ready, "started": started}
    assert readiness(Container(container), status, verdicts=verdicts, old=None) == expected


@pytest.mark.parametrize(
    ("old", "verdicts", "kept"),
    [
        ({"containerID": "x://c0", "ready": True, "started": True}, None, True),
        ({"containerID": "x://c0", "ready": False, "started": False}, None, False),
        ({"containerID": "x://another", "ready": True, "started": True}, None, False),
        (
            {"containerID": "x://c0", "ready": True, "started": True},
            found(started=True, ready=False),
            False,
        ),
    ],
)
def test_what_was_found_before_a_restart_of_the_edge_stays(
    old: Json, verdicts: ContainerProbes | None, kept: bool
) -> None:
    """For the same container, until a probe finds otherwise."""
    assert readiness(Container(BOTH), RUNNING, verdicts=verdicts, old=old)["ready"] is kept


@pytest.mark.parametrize(
    ("fields", "status", "expected"),
    [
        ({}, RUNNING, {"ready": False, "started": True}),
        ({}, ended(0), {"ready": True, "started": False}),
        ({}, ended(1), {"ready": False, "started": False}),
        ({"restartPolicy": "Always"}, RUNNING, {"ready": True, "started": True}),
        ({"restartPolicy": "Always"}, ended(0), {"ready": False, "started": False}),
    ],
)
def test_init_container_is_ready_once_it_is_done(
    fields: Json, status: Json, expected: Json
) -> None:
    """A sidecar is as long as it runs."""
    container = Container({**PLAIN, **fields}, kind=ContainerKind.INIT)
    assert readiness(container, status, verdicts=None, old=None) == expected


def test_ephemeral_container_is_never_ready() -> None:
    """And it says nothing of its start."""
    container = Container(PLAIN, kind=ContainerKind.EPHEMERAL)
    assert readiness(container, RUNNING, verdicts=None, old=None) == {"ready": False}
