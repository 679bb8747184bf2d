"""What happened between two looks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import PodUID, SandboxID
from edge_runtime.objects.runtime_status import (
    POD_UID_LABEL,
    ContainerState,
    RuntimeContainer,
    RuntimeSandbox,
    SandboxState,
)
from edge_runtime.pleg.events import PodLifecycleEventType, compute_events, records_of

UID = PodUID("u")
STATES = [None, *ContainerState, *SandboxState]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (None, ContainerState.CREATED, PodLifecycleEventType.CHANGED),
        (None, ContainerState.RUNNING, PodLifecycleEventType.STARTED),
        (None, ContainerState.EXITED, PodLifecycleEventType.DIED),
        (None, SandboxState.READY, PodLifecycleEventType.STARTED),
        (ContainerState.CREATED, ContainerState.RUNNING, PodLifecycleEventType.STARTED),
        (ContainerState.RUNNING, ContainerState.EXITED, PodLifecycleEventType.DIED),
        (ContainerState.RUNNING, ContainerState.UNKNOWN, PodLifecycleEventType.CHANGED),
        (ContainerState.RUNNING, None, PodLifecycleEventType.REMOVED),
        (SandboxState.READY, SandboxState.NOT_READY, PodLifecycleEventType.DIED),
        (SandboxState.NOT_READY, None, PodLifecycleEventType.REMOVED),
    ],
)
def test_change_of_one_container(
    old: ContainerState | SandboxState | None,
    new: ContainerState | SandboxState | None,
    expected: PodLifecycleEventType,
) -> None:
    """Each transition has one event."""
    before = {"x": old} if old else {}
    after = {"x": new} if new else {}
    assert [each.type for each in compute_events(UID, old=before, new=after)] == [expected]


_records = st.dictionaries(st.sampled_from("abc"), st.sampled_from(STATES[1:]))


@settings(deadline=None)
@given(_records, _records)
def test_events_are_exactly_the_differences(
    old: dict[str, ContainerState | SandboxState], new: dict[str, ContainerState | SandboxState]
) -> None:
    """No difference without an event, no event without a difference."""
    changed = {each for each in {*old, *new} if old.get(each) != new.get(each)}
    assert {event.id for event in compute_events(UID, old=old, new=new)} == changed


def test_looks_are_grouped_by_pod() -> None:
    """What no kubelet made is left out."""
    sandbox = RuntimeSandbox(
        id=SandboxID("s"),
        pod_name="p",
        pod_namespace="n",
        pod_uid=UID,
        attempt=0,
        state=SandboxState.READY,
        created_at_ns=1,
    )
    container = RuntimeContainer(
        id=ContainerID("c"),
        sandbox_id=SandboxID("s"),
        name="c",
        attempt=0,
        state=ContainerState.RUNNING,
        created_at_ns=2,
        labels={POD_UID_LABEL: "u"},
    )
    foreign = RuntimeContainer(
        id=ContainerID("f"),
        sandbox_id=SandboxID("x"),
        name="f",
        attempt=0,
        state=ContainerState.RUNNING,
        created_at_ns=2,
    )
    assert records_of([sandbox], [container, foreign]) == {
        UID: {"s": SandboxState.READY, "c": ContainerState.RUNNING}
    }
