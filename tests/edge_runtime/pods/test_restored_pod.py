"""What the containers of a vanished pod still tell."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.runtime_status import (
    CONTAINER_PORTS_ANNOTATION,
    POD_DELETION_GRACE_PERIOD_ANNOTATION,
    POD_TERMINATION_GRACE_PERIOD_ANNOTATION,
    PRE_STOP_HANDLER_ANNOTATION,
    ContainerState,
    ContainerStatus,
    PodRuntimeStatus,
)
from edge_runtime.pods.restored_pod import restore_pod
from tests.fakes.runtime_values import container


def _with(status: ContainerStatus, **annotations: str) -> ContainerStatus:
    return replace(status, annotations={**status.annotations, **annotations})


def _status(*containers: ContainerStatus) -> PodRuntimeStatus:
    return PodRuntimeStatus(uid=PodUID("u"), name="p", namespace="ns", containers=containers)


def test_hook_ports_and_grace_periods_come_back() -> None:
    """As they were written when the container was made."""
    status = _with(
        container(),
        **{
            PRE_STOP_HANDLER_ANNOTATION: '{"httpGet":{"port":"web"}}',
            CONTAINER_PORTS_ANNOTATION: '[{"name":"web","containerPort":80}]',
            POD_TERMINATION_GRACE_PERIOD_ANNOTATION: "9",
            POD_DELETION_GRACE_PERIOD_ANNOTATION: "4",
        },
    )
    pod = restore_pod(_status(status))
    assert (pod.uid, pod.full_name) == ("u", "p_ns")
    assert (pod.termination_grace_period_s, pod.deletion_grace_period_s) == (9, 4)
    assert pod.containers[0].pre_stop == {"httpGet": {"port": "web"}}
    assert pod.containers[0].ports == ({"name": "web", "containerPort": 80},)


def test_the_newest_attempt_speaks_for_a_container() -> None:
    """An earlier one may have had another hook."""
    newest = _with(container("c1"), **{PRE_STOP_HANDLER_ANNOTATION: '{"sleep":{"seconds":1}}'})
    older = _with(
        container("c0", state=ContainerState.EXITED),
        **{PRE_STOP_HANDLER_ANNOTATION: '{"sleep":{"seconds":2}}'},
    )
    pod = restore_pod(_status(newest, older))
    assert [each.pre_stop for each in pod.containers] == [{"sleep": {"seconds": 1}}]


@pytest.mark.parametrize("text", ["", "not json", "null", "[]", "7"])
def test_what_cannot_be_read_is_left_out(text: str) -> None:
    """A container of another node agent, or a cut annotation, is stopped without its hook."""
    annotations = {
        PRE_STOP_HANDLER_ANNOTATION: text,
        CONTAINER_PORTS_ANNOTATION: text,
        POD_TERMINATION_GRACE_PERIOD_ANNOTATION: "soon",
    }
    pod = restore_pod(_status(_with(container(), **annotations)))
    assert pod.containers[0].pre_stop is None
    assert pod.containers[0].ports == ()
    assert pod.termination_grace_period_s == 30


def test_nothing_makes_a_pod_without_containers() -> None:
    """Only its sandbox is left to stop."""
    assert restore_pod(_status()).containers == ()
