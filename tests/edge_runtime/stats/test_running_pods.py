"""What runs is measured, in the group that it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import Pod, PodUID, SandboxID
from edge_runtime.objects.runtime_status import (
    ContainerState,
    ContainerStatus,
    PodRuntimeStatus,
    SandboxState,
    SandboxStatus,
)
from edge_runtime.stats.running_pods import running_pods

if TYPE_CHECKING:
    from edge_runtime.objects.qos import QOSClass

_POD = Pod(
    {
        "metadata": {"name": "p", "namespace": "n", "uid": "u"},
        "spec": {"containers": [{"name": "c"}, {"name": "d"}]},
    }
)


class _Paths:
    def cgroup_parent(self, uid: PodUID, qos: QOSClass) -> str:
        return f"/{qos.value}/pod{uid}"

    def container_cgroup(self, parent: str, container_id: str) -> str:
        return f"{parent}/{container_id}"


def _container(
    container_id: str, name: str, state: ContainerState, *, at_ns: int
) -> ContainerStatus:
    return ContainerStatus(
        id=ContainerID(container_id),
        sandbox_id=SandboxID("s"),
        name=name,
        attempt=0,
        state=state,
        created_at_ns=at_ns,
    )


def _status(*containers: ContainerStatus, sandbox: bool = True) -> PodRuntimeStatus:
    found = SandboxStatus(
        id=SandboxID("s"),
        pod_name="p",
        pod_namespace="n",
        pod_uid=PodUID("u"),
        attempt=0,
        state=SandboxState.READY,
        created_at_ns=5,
    )
    return PodRuntimeStatus(
        uid=PodUID("u"), sandboxes=(found,) if sandbox else (), containers=containers
    )


def test_only_running_containers_are_measured_the_newest_of_each_name() -> None:
    """One that ended uses nothing: a zero of it would make metrics-server drop the pod."""
    status = _status(
        _container("2", "c", ContainerState.RUNNING, at_ns=9),
        _container("1", "c", ContainerState.EXITED, at_ns=7),
        _container("3", "d", ContainerState.EXITED, at_ns=6),
    )
    (found,) = running_pods([_POD], status=lambda _: status, paths=_Paths())
    assert (found.name, found.namespace, found.uid) == ("p", "n", "u")
    assert found.created_at_ns == 5
    assert found.group == "/BestEffort/podu"
    assert found.sandbox_group == "/BestEffort/podu/s"
    assert [(each.id, each.group) for each in found.containers] == [("2", "/BestEffort/podu/2")]


def test_volumes_that_are_claims_are_known_by_their_claims() -> None:
    """Also those that are made with the pod."""
    volumes = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "disk"}},
        {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}},
        {"name": "cache", "emptyDir": {}},
    ]
    pod = Pod({**_POD.raw, "spec": {**_POD.spec, "volumes": volumes}})
    status = _status(_container("1", "c", ContainerState.RUNNING, at_ns=1))
    (found,) = running_pods([pod], status=lambda _: status, paths=_Paths())
    assert found.claims == {"data": "disk", "scratch": "p-scratch"}


def test_a_pod_without_a_running_container_is_left_out() -> None:
    """As with a kubelet."""
    ended = _status(_container("1", "c", ContainerState.EXITED, at_ns=7))
    homeless = _status(_container("1", "c", ContainerState.RUNNING, at_ns=7), sandbox=False)
    for status in (ended, homeless, PodRuntimeStatus(uid=PodUID("u"))):
        found = {"u": status}
        assert running_pods([_POD], status=found.__getitem__, paths=_Paths()) == []
