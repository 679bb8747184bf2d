"""When a container starts, and as which attempt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.container import Container, ContainerKind
from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.runtime_status import ContainerState, PodRuntimeStatus
from edge_runtime.pod_actions.container_starts import ContainerBackOff, ContainerStart, StartPlanner
from edge_runtime.pod_actions.crash_backoff import CrashBackoff, backoff_key
from edge_runtime.store.local_pod_state import ContainerRecord
from tests.fakes.edge_pods import pod_json
from tests.fakes.runtime_values import container as attempt
from tests.fakes.runtime_values import sandbox

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json
    from edge_runtime.objects.runtime_status import ContainerStatus, SandboxStatus

CONTAINER = Container({"name": "c", "image": "i"})
KEY = backoff_key(CONTAINER)
EXITED = ContainerState.EXITED
NOW_S = 1000.0


def plan(
    *attempts: ContainerStatus,
    record: ContainerRecord | None = None,
    status: Json | None = None,
    container: Container = CONTAINER,
    sandboxes: tuple[SandboxStatus, ...] = (),
) -> ContainerStart | ContainerBackOff:
    """Plan the start of one container at second 1000."""
    planner = StartPlanner(
        Pod({**pod_json(), "status": status or {}}),
        PodRuntimeStatus(uid=PodUID("u"), sandboxes=sandboxes, containers=attempts),
        records={record.name: record} if record is not None else {},
        now_s=NOW_S,
    )
    return planner.plan(container)


def record(
    attempt: int = 0, *, delay_s: float = 10.0, updated_at_s: float = 980.0, key: str = KEY
) -> ContainerRecord:
    """What is remembered of a container that was started again once."""
    return ContainerRecord(
        name="c",
        attempt=attempt,
        backoff_key=key,
        backoff_s=delay_s,
        backoff_updated_at_s=updated_at_s,
    )


def kept(delay_s: float, updated_at_s: float = NOW_S) -> CrashBackoff:
    """The back-off that a start brings with it."""
    return CrashBackoff(key=KEY, delay_s=delay_s, updated_at_s=updated_at_s)


def test_first_start_has_no_back_off() -> None:
    """Attempt 0, and nothing to keep."""
    assert plan() == ContainerStart(name="c", attempt=0)


def test_first_restart_is_immediate() -> None:
    """And the next one must wait ten seconds."""
    ended = attempt(state=EXITED, exit_code=1, finished_at_s=999.0)
    assert plan(ended) == ContainerStart(name="c", attempt=1, backoff=kept(10.0))


@pytest.mark.parametrize(
    ("finished_at_s", "remembered", "expected"),
    [
        (995.0, record(), ContainerBackOff(name="c", delay_s=10.0, until_s=1005.0)),
        (990.0, record(), ContainerStart(name="c", attempt=1, backoff=kept(20.0))),
        (700.0, record(delay_s=300.0, updated_at_s=600.0), kept(300.0)),
        # It ran for more than ten minutes since the delay last grew.
        (999.0, record(updated_at_s=398.0), kept(10.0)),
        # Changed in between: a new container, without a past.
        (999.0, record(key="another"), kept(10.0)),
        (999.0, record(key=""), kept(10.0)),
    ],
)
def test_back_off_grows_and_ends(
    finished_at_s: float,
    remembered: ContainerRecord,
    expected: ContainerBackOff | ContainerStart | CrashBackoff,
) -> None:
    """Counted from the container's end."""
    found = plan(attempt(state=EXITED, exit_code=1, finished_at_s=finished_at_s), record=remembered)
    if isinstance(expected, CrashBackoff):
        assert isinstance(found, ContainerStart)
        assert found.backoff == expected
    else:
        assert found == expected


@pytest.mark.parametrize(
    ("ready", "expected"),
    [
        (False, ContainerStart(name="c", attempt=1, backoff=kept(10.0, 980.0))),
        # Its sandbox is there: whatever became of the container alone counts as its crash.
        (True, ContainerBackOff(name="c", delay_s=10.0, until_s=1009.0)),
    ],
)
def test_a_power_cut_is_no_crash(
    *, ready: bool, expected: ContainerStart | ContainerBackOff
) -> None:
    """A container that went with its sandbox, unseen, starts at once; its back-off stays as is."""
    lost = replace(attempt(state=EXITED, exit_code=255, finished_at_s=999.0), reason="Unknown")
    assert plan(lost, record=record(), sandboxes=(sandbox(ready=ready),)) == expected


def test_a_container_that_is_killed_now_has_no_end_yet() -> None:
    """The end of the attempt before it counts, as at a kubelet; without one nothing is held."""
    running = attempt("new", attempt=1, created_at_s=996.0)
    ended = attempt("old", state=EXITED, finished_at_s=995.0)
    assert isinstance(plan(running, ended, record=record(1)), ContainerBackOff)
    start = plan(running, record=record(1))
    assert start == ContainerStart(name="c", attempt=2, backoff=kept(10.0, 980.0))


@pytest.mark.parametrize(
    ("attempts", "remembered", "told", "expected"),
    [
        ([], record(4), 0, 5),  # the runtime lost all
        ([attempt(attempt=6)], record(4), 0, 7),  # killed before the record was written
        ([attempt(attempt=6)], None, 8, 9),  # the edge's disk is new, the API remembers
    ],
)
def test_restart_count_never_falls(
    attempts: list[ContainerStatus], remembered: ContainerRecord | None, told: int, expected: int
) -> None:
    """One more than what any of the three knows."""
    status = {"containerStatuses": [{"name": "c", "restartCount": told, "containerID": "x://1"}]}
    found = plan(*attempts, record=remembered, status=status)
    assert isinstance(found, ContainerStart)
    assert found.attempt == expected


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (ContainerKind.INIT, "initContainerStatuses"),
        (ContainerKind.EPHEMERAL, "ephemeralContainerStatuses"),
    ],
)
def test_restart_count_is_looked_for_in_the_containers_own_list(
    kind: ContainerKind, field: str
) -> None:
    """A status without a container says nothing: a waiting one shows a count as well."""

    def told(**status: Any) -> Json:  # noqa: ANN401  # API JSON
        return {field: [{"name": "c", "restartCount": 3, **status}]}

    container = Container({"name": "c"}, kind=kind)
    found = plan(status=told(containerID="x://1"), container=container)
    assert isinstance(found, ContainerStart)
    assert found.attempt == 4
    assert plan(status=told(), container=container) == ContainerStart(name="c", attempt=0)
