"""Values that the tests of the PLEG and of pods share."""

from __future__ import annotations

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import PodUID, SandboxID
from edge_runtime.objects.runtime_status import (
    POD_UID_LABEL,
    RESTART_COUNT_ANNOTATION,
    ContainerState,
    ContainerStatus,
    SandboxState,
    SandboxStatus,
)

SECOND_NS = 1_000_000_000


def sandbox(
    sandbox_id: str = "s0",
    *,
    uid: str = "u",
    attempt: int = 0,
    ready: bool = True,
    ips: tuple[str, ...] = ("10.0.0.2",),
) -> SandboxStatus:
    """A sandbox, ready unless said otherwise."""
    return SandboxStatus(
        id=SandboxID(sandbox_id),
        pod_name="p",
        pod_namespace="ns",
        pod_uid=PodUID(uid),
        attempt=attempt,
        state=SandboxState.READY if ready else SandboxState.NOT_READY,
        created_at_ns=(attempt + 1) * SECOND_NS,
        ips=ips if ready else (),
    )


def container(
    container_id: str = "c0",
    *,
    name: str = "c",
    uid: str = "u",
    sandbox_id: str = "s0",
    attempt: int = 0,
    state: ContainerState = ContainerState.RUNNING,
    exit_code: int = 0,
    created_at_s: float = 10.0,
    finished_at_s: float = 0.0,
    container_hash: str = "",
) -> ContainerStatus:
    """A container, running unless said otherwise."""
    is_started = state in (ContainerState.RUNNING, ContainerState.EXITED)
    annotations = {RESTART_COUNT_ANNOTATION: str(attempt)}
    if container_hash:
        annotations["io.kubernetes.container.hash"] = container_hash
    reason = "" if state is not ContainerState.EXITED else ("Error" if exit_code else "Completed")
    return ContainerStatus(
        id=ContainerID(container_id),
        sandbox_id=SandboxID(sandbox_id),
        name=name,
        attempt=attempt,
        state=state,
        created_at_ns=int(created_at_s * SECOND_NS),
        started_at_ns=int(created_at_s * SECOND_NS) if is_started else 0,
        finished_at_ns=int(finished_at_s * SECOND_NS),
        exit_code=exit_code,
        reason=reason,
        image="busybox",
        image_ref="busybox@sha256:1",
        labels={POD_UID_LABEL: uid},
        annotations=annotations,
    )
