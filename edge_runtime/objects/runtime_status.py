"""What the container runtime says it has: sandboxes, containers, images and its own state.

``CriClient`` returns these values and never a proto, so that nothing above ``runtime/`` depends on
gRPC. Times are CRI's own: nanoseconds since the epoch, UTC; 0 means "not yet" or "unknown".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_runtime.objects.pod import PodUID

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import SandboxID

# Labels and annotations that tie a container or sandbox to its pod.
# Source: kubernetes staging/src/k8s.io/kubelet/pkg/types/labels.go,
# pkg/kubelet/kuberuntime/labels.go
POD_NAME_LABEL = "io.kubernetes.pod.name"
POD_NAMESPACE_LABEL = "io.kubernetes.pod.namespace"
POD_UID_LABEL = "io.kubernetes.pod.uid"
CONTAINER_NAME_LABEL = "io.kubernetes.container.name"
CONTAINER_HASH_ANNOTATION = "io.kubernetes.container.hash"
RESTART_COUNT_ANNOTATION = "io.kubernetes.container.restartCount"
TERMINATION_MESSAGE_PATH_ANNOTATION = "io.kubernetes.container.terminationMessagePath"
TERMINATION_MESSAGE_POLICY_ANNOTATION = "io.kubernetes.container.terminationMessagePolicy"
PRE_STOP_HANDLER_ANNOTATION = "io.kubernetes.container.preStopHandler"
CONTAINER_PORTS_ANNOTATION = "io.kubernetes.container.ports"
POD_DELETION_GRACE_PERIOD_ANNOTATION = "io.kubernetes.pod.deletionGracePeriod"
POD_TERMINATION_GRACE_PERIOD_ANNOTATION = "io.kubernetes.pod.terminationGracePeriod"


class SandboxState(enum.Enum):
    """State of a pod sandbox; a stopped one is NOT_READY until it is removed."""

    READY = "ready"
    NOT_READY = "not-ready"


class ContainerState(enum.Enum):
    """State of a container.

        CREATED ──start──> RUNNING ──exit──> EXITED ──remove──> (gone)
           └───────── start failed ────────────┘

    UNKNOWN is what a runtime says when it lost track, for example after its own restart.
    """

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    UNKNOWN = "unknown"


class NamespaceMode(enum.Enum):
    """Whose namespace a container uses; the values are CRI's."""

    POD = 0
    CONTAINER = 1
    NODE = 2
    TARGET = 3


def _parse_count(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() and text.isascii() else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeSandbox:
    """One pod sandbox as CRI lists it.

    Attributes:
        attempt: Counts the sandboxes of one pod, from 0.
        created_at_ns: Nanoseconds since the epoch.
    """

    id: SandboxID
    pod_name: str
    pod_namespace: str
    pod_uid: PodUID
    attempt: int
    state: SandboxState
    created_at_ns: int
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    runtime_handler: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether its processes and network are in place."""
        return self.state is SandboxState.READY


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxStatus(RuntimeSandbox):
    """One pod sandbox as CRI's PodSandboxStatus describes it.

    Attributes:
        ips: The pod's addresses, the primary one first; empty with the host's network and before
            the network is set up.
        network: POD or NODE.
    """

    ips: tuple[str, ...] = ()
    network: NamespaceMode = NamespaceMode.POD


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeContainer:
    """One container as CRI lists it.

    Attributes:
        attempt: The pod's restart count of this container when it was made.
        image: The image as the container was asked for.
        image_ref: The image as the runtime resolved it (``Pod.status``'s imageID).
    """

    id: ContainerID
    sandbox_id: SandboxID
    name: str
    attempt: int
    state: ContainerState
    created_at_ns: int
    image: str = ""
    image_ref: str = ""
    image_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def pod_uid(self) -> PodUID:
        """UID of its pod, "" for a container that no kubelet made."""
        return PodUID(self.labels.get(POD_UID_LABEL, ""))

    @property
    def restart_count(self) -> int:
        """Restart count from its annotation, 0 when there is none."""
        return _parse_count(self.annotations.get(RESTART_COUNT_ANNOTATION))

    @property
    def container_hash(self) -> str:
        """Hash of the container's spec that it was made from, "" when unknown."""
        return self.annotations.get(CONTAINER_HASH_ANNOTATION, "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUser:
    """The identity that the container's first process got."""

    uid: int
    gid: int
    supplemental_groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerResources:
    """What the runtime applied; 0 means "not limited" or "not told".

    Attributes:
        cpu_period_us: Microseconds.
        cpu_quota_us: Microseconds per period.
        cpu_shares: Weight on cgroup v1's scale (2 to 262144).
    """

    cpu_period_us: int = 0
    cpu_quota_us: int = 0
    cpu_shares: int = 0
    memory_limit_bytes: int = 0
    memory_swap_limit_bytes: int = 0
    oom_score_adj: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    hugepage_limits: tuple[tuple[str, int], ...] = ()
    unified: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStatus(RuntimeContainer):
    """One container as CRI's ContainerStatus describes it.

    CRI's answer does not name the sandbox: ``sandbox_id`` is "" unless the caller knew it from
    a list.

    Attributes:
        started_at_ns: 0 until it started.
        finished_at_ns: 0 until it exited.
        reason: CRI's word for the state: Completed, Error, OOMKilled, StartError, …
        log_path: The log file as the runtime opened it, absolute; "" when unknown.
        resources: None when the runtime does not tell (containerd 1.6).
        user: None when the runtime does not tell (before containerd 2.0).
    """

    started_at_ns: int = 0
    finished_at_ns: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    log_path: str = ""
    resources: ContainerResources | None = None
    user: ContainerUser | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PodListing:
    """What the runtime's lists have of one pod, in no particular order."""

    sandboxes: tuple[RuntimeSandbox, ...] = ()
    containers: tuple[RuntimeContainer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRuntimeStatus:
    """All that the runtime has of one pod.

    Attributes:
        sandboxes: Newest first (highest attempt, then latest creation).
        containers: Newest first; more than one per name after restarts.
    """

    uid: PodUID
    name: str = ""
    namespace: str = ""
    sandboxes: tuple[SandboxStatus, ...] = ()
    containers: tuple[ContainerStatus, ...] = ()

    @property
    def sandbox(self) -> SandboxStatus | None:
        """The newest sandbox, ready or not."""
        return self.sandboxes[0] if self.sandboxes else None

    @property
    def ready_sandboxes(self) -> tuple[SandboxStatus, ...]:
        """Those in state READY, newest first."""
        return tuple(sandbox for sandbox in self.sandboxes if sandbox.is_ready)

    @property
    def ips(self) -> tuple[str, ...]:
        """Addresses of the newest sandbox if it is ready."""
        newest = self.sandbox
        return newest.ips if newest is not None and newest.is_ready else ()

    @property
    def is_empty(self) -> bool:
        """Whether the runtime has nothing at all of the pod."""
        return not self.sandboxes and not self.containers

    def containers_named(self, name: str) -> tuple[ContainerStatus, ...]:
        """All attempts of one container, newest first."""
        return tuple(status for status in self.containers if status.name == name)

    def latest(self, name: str) -> ContainerStatus | None:
        """The newest attempt of one container."""
        return next((status for status in self.containers if status.name == name), None)


class RuntimeEventType(enum.Enum):
    """What happened to a container or a sandbox."""

    CREATED = "created"
    STARTED = "started"
    STOPPED = "stopped"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeEvent:
    """Something changed in the runtime: look at the pod again.

    An event is a hint, never the truth: what it says of the pod may be older than the next one.

    Attributes:
        container_id: Of a container or of a sandbox: both are containers to the runtime.
        pod_uid: "" when the event did not tell (containerd's own events).
        timestamp_ns: Nanoseconds since the epoch.
    """

    container_id: str
    type: RuntimeEventType
    pod_uid: str
    timestamp_ns: int
