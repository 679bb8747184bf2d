"""CRI's messages as our values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_protos import api_pb2 as pb
from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import PodUID, SandboxID
from edge_runtime.objects.runtime_info import (
    RuntimeCondition,
    RuntimeHandler,
    RuntimeImage,
    RuntimeStatus,
)
from edge_runtime.objects.runtime_status import (
    POD_UID_LABEL,
    ContainerResources,
    ContainerState,
    ContainerStatus,
    ContainerUser,
    NamespaceMode,
    RuntimeContainer,
    RuntimeEvent,
    RuntimeEventType,
    RuntimeSandbox,
    SandboxState,
    SandboxStatus,
)

if TYPE_CHECKING:
    from typing import TypedDict

    class _SandboxFields(TypedDict):
        id: SandboxID
        pod_name: str
        pod_namespace: str
        pod_uid: PodUID
        attempt: int
        state: SandboxState
        created_at_ns: int
        labels: dict[str, str]
        annotations: dict[str, str]
        runtime_handler: str


_CONTAINER_STATES = {
    pb.CONTAINER_CREATED: ContainerState.CREATED,
    pb.CONTAINER_RUNNING: ContainerState.RUNNING,
    pb.CONTAINER_EXITED: ContainerState.EXITED,
}
_EVENT_TYPES = {
    pb.CONTAINER_CREATED_EVENT: RuntimeEventType.CREATED,
    pb.CONTAINER_STARTED_EVENT: RuntimeEventType.STARTED,
    pb.CONTAINER_STOPPED_EVENT: RuntimeEventType.STOPPED,
    pb.CONTAINER_DELETED_EVENT: RuntimeEventType.DELETED,
}


def decode_sandbox(message: pb.PodSandbox) -> RuntimeSandbox:
    """Decode one sandbox of a list."""
    return RuntimeSandbox(**_sandbox_fields(message))


def decode_sandbox_status(message: pb.PodSandboxStatus) -> SandboxStatus:
    """Decode a sandbox's status."""
    addresses = (message.network.ip, *(each.ip for each in message.network.additional_ips))
    return SandboxStatus(
        **_sandbox_fields(message),
        ips=tuple(address for address in addresses if address),
        network=NamespaceMode(message.linux.namespaces.options.network),
    )


def status_of_ended(sandbox: RuntimeSandbox) -> SandboxStatus:
    """Return the status of a listed sandbox that is not ready: it has no addresses any more."""
    return SandboxStatus(
        id=sandbox.id,
        pod_name=sandbox.pod_name,
        pod_namespace=sandbox.pod_namespace,
        pod_uid=sandbox.pod_uid,
        attempt=sandbox.attempt,
        state=sandbox.state,
        created_at_ns=sandbox.created_at_ns,
        labels=sandbox.labels,
        annotations=sandbox.annotations,
        runtime_handler=sandbox.runtime_handler,
    )


def decode_container(message: pb.Container) -> RuntimeContainer:
    """Decode one container of a list."""
    return RuntimeContainer(
        id=ContainerID(message.id),
        sandbox_id=SandboxID(message.pod_sandbox_id),
        name=message.metadata.name,
        attempt=message.metadata.attempt,
        state=_container_state(message.state),
        created_at_ns=message.created_at,
        image=message.image.user_specified_image or message.image.image,
        image_ref=message.image_ref,
        image_id=message.image_id,
        labels=dict(message.labels),
        annotations=dict(message.annotations),
    )


def decode_container_status(message: pb.ContainerStatus, sandbox_id: SandboxID) -> ContainerStatus:
    """Decode a container's status; ``sandbox_id`` comes from the list that named the container."""
    linux = message.resources.linux
    return ContainerStatus(
        id=ContainerID(message.id),
        sandbox_id=sandbox_id,
        name=message.metadata.name,
        attempt=message.metadata.attempt,
        state=_container_state(message.state),
        created_at_ns=message.created_at,
        image=message.image.user_specified_image or message.image.image,
        image_ref=message.image_ref,
        image_id=message.image_id,
        labels=dict(message.labels),
        annotations=dict(message.annotations),
        started_at_ns=message.started_at,
        finished_at_ns=message.finished_at,
        exit_code=message.exit_code,
        reason=message.reason,
        message=message.message,
        log_path=message.log_path,
        resources=decode_resources(linux) if message.resources.HasField("linux") else None,
        user=_user(message.user.linux) if message.user.HasField("linux") else None,
    )


def decode_resources(message: pb.LinuxContainerResources) -> ContainerResources:
    """Decode what the kernel enforces."""
    return ContainerResources(
        cpu_period_us=message.cpu_period,
        cpu_quota_us=message.cpu_quota,
        cpu_shares=message.cpu_shares,
        memory_limit_bytes=message.memory_limit_in_bytes,
        memory_swap_limit_bytes=message.memory_swap_limit_in_bytes,
        oom_score_adj=message.oom_score_adj,
        cpuset_cpus=message.cpuset_cpus,
        cpuset_mems=message.cpuset_mems,
        hugepage_limits=tuple((each.page_size, each.limit) for each in message.hugepage_limits),
        unified=dict(message.unified),
    )


def decode_image(message: pb.Image) -> RuntimeImage:
    """Decode one image."""
    return RuntimeImage(
        id=message.id,
        repo_tags=tuple(message.repo_tags),
        repo_digests=tuple(message.repo_digests),
        size_bytes=message.size,
        uid=message.uid.value if message.HasField("uid") else None,
        username=message.username,
        pinned=message.pinned,
    )


def decode_status(message: pb.StatusResponse) -> RuntimeStatus:
    """Decode the runtime's own state."""
    return RuntimeStatus(
        conditions=tuple(
            RuntimeCondition(
                type=each.type, status=each.status, reason=each.reason, message=each.message
            )
            for each in message.status.conditions
        ),
        handlers=tuple(
            RuntimeHandler(
                name=each.name,
                recursive_read_only_mounts=each.features.recursive_read_only_mounts,
                user_namespaces=each.features.user_namespaces,
            )
            for each in message.runtime_handlers
        ),
        supplemental_groups_policy=message.features.supplemental_groups_policy
        if message.HasField("features")
        else None,
    )


def decode_event(message: pb.ContainerEventResponse) -> RuntimeEvent | None:
    """Decode one event, None for a type that newer runtimes may have."""
    event_type = _EVENT_TYPES.get(message.container_event_type)
    if event_type is None:
        return None
    return RuntimeEvent(
        container_id=message.container_id,
        type=event_type,
        pod_uid=PodUID(message.pod_sandbox_status.metadata.uid),
        timestamp_ns=message.created_at,
    )


def _sandbox_fields(message: pb.PodSandbox | pb.PodSandboxStatus) -> _SandboxFields:
    ready = message.state == pb.SANDBOX_READY
    return {
        "id": SandboxID(message.id),
        "pod_name": message.metadata.name,
        "pod_namespace": message.metadata.namespace,
        # The label is what lists are filtered by.
        "pod_uid": PodUID(message.labels.get(POD_UID_LABEL) or message.metadata.uid),
        "attempt": message.metadata.attempt,
        "state": SandboxState.READY if ready else SandboxState.NOT_READY,
        "created_at_ns": message.created_at,
        "labels": dict(message.labels),
        "annotations": dict(message.annotations),
        "runtime_handler": message.runtime_handler,
    }


def _container_state(state: pb.ContainerState.ValueType) -> ContainerState:
    return _CONTAINER_STATES.get(state, ContainerState.UNKNOWN)


def _user(message: pb.LinuxContainerUser) -> ContainerUser:
    return ContainerUser(
        uid=message.uid, gid=message.gid, supplemental_groups=tuple(message.supplemental_groups)
    )
