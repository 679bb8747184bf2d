"""How soon a pod is synced again, and how long it may be active."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import Pod
from edge_runtime.pod_actions.container_starts import ContainerBackOff, ContainerStart
from edge_runtime.pod_actions.in_place_restart import ContainerReset
from edge_runtime.pod_actions.pod_actions import PodActions
from edge_runtime.pod_status.container_status import WaitingReason
from edge_runtime.pods.sync_times import compute_active_left_s, compute_retry_s

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json

NOW_S = 1_800_000_000.0
START = (ContainerStart(name="c", attempt=0),)
RESET = (ContainerReset(id=ContainerID("c0"), name="c", attempt=0, kill=False),)
SIDECAR = {"name": "side", "restartPolicy": "Always"}


def pod(**spec: Any) -> Pod:  # noqa: ANN401  # API JSON
    """A pod of one container."""
    metadata = {"name": "p", "namespace": "ns", "uid": "u"}
    return Pod({"metadata": metadata, "spec": {"containers": [{"name": "c"}], **spec}})


def back_off(name: str, until_s: float) -> ContainerBackOff:
    """A container that starts later."""
    return ContainerBackOff(name=name, delay_s=10.0, until_s=NOW_S + until_s)


def retry_s(actions: PodActions, reason: str = "", *, of: Pod | None = None) -> float | None:
    """How soon, when container "c" did not start for a reason."""
    return compute_retry_s(
        of or pod(),
        actions,
        waiting={"c": WaitingReason(reason=reason, message="")} if reason else {},
        resize_failed=False,
        has_sandbox=True,
        now_s=NOW_S,
    )


@pytest.mark.parametrize(
    ("actions", "reason", "expected"),
    [
        (PodActions(), "", None),
        (PodActions(start=START), "", None),
        # Another sync's trouble, with a container that was not to start now.
        (PodActions(), "ErrImagePull", None),
        (PodActions(start=START), "ErrImagePull", 10.0),
        (PodActions(start=START, create_sandbox=True), "ErrImagePull", 1.0),
        # It is there and ended: its back-off decides at once.
        (PodActions(start=START), "RunContainerError", 0.0),
        (PodActions(start=START, create_sandbox=True), "PostStartHookError", 0.0),
        (PodActions(reset=RESET), "", 0.0),
        (PodActions(back_off=(back_off("a", 20.0), back_off("b", 5.0))), "", 5.0),
        (PodActions(back_off=(back_off("a", -1.0),)), "", 0.0),
        (PodActions(start=START, back_off=(back_off("a", 20.0),)), "ErrImagePull", 10.0),
    ],
)
def test_pod_is_synced_again_once_something_may_have_changed(
    actions: PodActions, reason: str, expected: float | None
) -> None:
    """By itself it is not: whatever happens wakes its worker."""
    assert retry_s(actions, reason) == expected


@pytest.mark.parametrize(
    ("resize_failed", "has_sandbox"),
    [(True, True), (False, False), (True, False)],
)
def test_what_the_runtime_refused_is_tried_again(resize_failed: bool, has_sandbox: bool) -> None:
    """A container that waits for the sandbox asks for nothing sooner."""
    found = compute_retry_s(
        pod(),
        PodActions(start=START, create_sandbox=True),
        waiting={"c": WaitingReason(reason="RunContainerError", message="")}
        if not has_sandbox
        else {},
        resize_failed=resize_failed,
        has_sandbox=has_sandbox,
        now_s=NOW_S,
    )
    assert found == 10.0


def test_who_comes_after_a_sidecar_need_not_wait_for_a_relist() -> None:
    """But for one that did not start."""
    start = (ContainerStart(name="side", attempt=0),)
    of = pod(initContainers=[SIDECAR])
    assert retry_s(PodActions(start=start), of=of) == 0.0
    waiting = {"side": WaitingReason(reason="ErrImagePull", message="")}
    found = compute_retry_s(
        of,
        PodActions(start=start),
        waiting=waiting,
        resize_failed=False,
        has_sandbox=True,
        now_s=NOW_S,
    )
    assert found == 10.0


@pytest.mark.parametrize(
    ("deadline_s", "status", "expected"),
    [
        (None, {"startTime": "2026-01-01T00:00:00Z"}, None),
        (30, {}, None),
        (30, {"startTime": "2026-01-01T00:00:00Z"}, 10.0),
        (15, {"startTime": "2026-01-01T00:00:00Z"}, -5.0),
    ],
)
def test_time_that_is_left_of_a_deadline(
    deadline_s: int | None, status: Json, expected: float | None
) -> None:
    """It runs from the start that the status tells."""
    spec = {} if deadline_s is None else {"activeDeadlineSeconds": deadline_s}
    now = datetime(2026, 1, 1, 0, 0, 20, tzinfo=UTC)
    assert compute_active_left_s(pod(**spec), status, now=now) == expected
