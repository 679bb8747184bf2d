"""What follows from what the runtime says it has."""

from __future__ import annotations

import pytest

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import PodUID, SandboxID
from edge_runtime.objects.runtime_status import (
    CONTAINER_HASH_ANNOTATION,
    POD_UID_LABEL,
    RESTART_COUNT_ANNOTATION,
    ContainerState,
    ContainerStatus,
    PodRuntimeStatus,
    SandboxState,
    SandboxStatus,
)

UID = PodUID("u")


def sandbox(sandbox_id: str, *, attempt: int, is_ready: bool, ip: str = "") -> SandboxStatus:
    """Make a sandbox."""
    return SandboxStatus(
        id=SandboxID(sandbox_id),
        pod_name="p",
        pod_namespace="ns",
        pod_uid=UID,
        attempt=attempt,
        state=SandboxState.READY if is_ready else SandboxState.NOT_READY,
        created_at_ns=attempt,
        ips=(ip,) if ip else (),
    )


def container(
    container_id: str, name: str = "c", *, annotations: dict[str, str] | None = None
) -> ContainerStatus:
    """Make a container."""
    return ContainerStatus(
        id=ContainerID(container_id),
        sandbox_id=SandboxID("s"),
        name=name,
        attempt=0,
        state=ContainerState.RUNNING,
        created_at_ns=0,
        labels={POD_UID_LABEL: UID},
        annotations=annotations or {},
    )


def test_nothing_at_all_is_empty() -> None:
    """A pod that the runtime never had, or has no more."""
    status = PodRuntimeStatus(uid=UID)

    assert status.is_empty
    assert (status.sandbox, status.ips, status.latest("c")) == (None, (), None)


def test_either_half_alone_is_not_empty() -> None:
    """A container may outlive its sandbox's record and the other way round."""
    assert not PodRuntimeStatus(uid=UID, containers=(container("a"),)).is_empty
    only_sandbox = (sandbox("s", attempt=0, is_ready=False),)
    assert not PodRuntimeStatus(uid=UID, sandboxes=only_sandbox).is_empty


def test_addresses_are_those_of_the_newest_sandbox_while_it_is_ready() -> None:
    """The address of a sandbox that is replaced must not be told on."""
    old = sandbox("old", attempt=0, is_ready=True, ip="10.0.0.1")
    new = sandbox("new", attempt=1, is_ready=True, ip="10.0.0.2")
    lost = sandbox("lost", attempt=2, is_ready=False, ip="10.0.0.3")

    assert PodRuntimeStatus(uid=UID, sandboxes=(new, old)).ips == ("10.0.0.2",)
    replaced = PodRuntimeStatus(uid=UID, sandboxes=(lost, new, old))
    assert replaced.sandbox is lost
    assert replaced.ips == ()
    assert replaced.ready_sandboxes == (new, old)


def test_attempts_of_one_container_are_told_apart_from_others() -> None:
    """The first of a name is its newest."""
    newest, other, older = container("3"), container("2", "other"), container("1")
    status = PodRuntimeStatus(uid=UID, containers=(newest, other, older))

    assert status.latest("c") is newest
    assert status.containers_named("c") == (newest, older)


@pytest.mark.parametrize(("text", "count"), [("3", 3), ("", 0), ("-1", 0), ("²", 0), ("x", 0)])
def test_restart_count_of_a_foreign_hand_is_none(text: str, count: int) -> None:
    """Annotations are text that anybody with the socket may write."""
    assert container("a", annotations={RESTART_COUNT_ANNOTATION: text}).restart_count == count


def test_what_a_container_says_of_itself() -> None:
    """Labels and annotations tie it to its pod; without them it is nobody's."""
    ours = container("a", annotations={CONTAINER_HASH_ANNOTATION: "h"})
    foreign = ContainerStatus(
        id=ContainerID("f"),
        sandbox_id=SandboxID("s"),
        name="f",
        attempt=0,
        state=ContainerState.RUNNING,
        created_at_ns=0,
    )

    assert (ours.pod_uid, ours.container_hash, ours.restart_count) == (UID, "h", 0)
    assert (foreign.pod_uid, foreign.container_hash, foreign.restart_count) == ("", "", 0)
