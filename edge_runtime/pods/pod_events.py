"""Events of pods in the words of a kubelet 1.36.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go, kuberuntime_manager.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_runtime.events import reasons

if TYPE_CHECKING:
    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import Pod


class Recorder(Protocol):
    """Where events go (events/event_recorder.py)."""

    def record(
        self, pod: Pod, *, event_type: str, reason: str, message: str, container_name: str = ""
    ) -> None:
        """Record an event; never waits."""
        ...


class PodEvents:
    """Says what happened to a pod and its containers."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def created(self, pod: Pod, name: str) -> None:
        """A container was created."""
        self._normal(pod, reasons.CREATED, "Container created", name)

    def started(self, pod: Pod, name: str) -> None:
        """A container was started."""
        self._normal(pod, reasons.STARTED, "Container started", name)

    def killing(self, pod: Pod, name: str, message: str = "") -> None:
        """A container is being stopped."""
        self._normal(pod, reasons.KILLING, message or f"Stopping container {name}", name)

    def failed(
        self, pod: Pod, name: str, message: str, *, container_id: ContainerID | None = None
    ) -> None:
        """A container could not be created or started.

        Its id is not repeated in the message: each attempt would be an event of its own.
        """
        if container_id:
            message = message.replace(container_id, name)
        self._warning(pod, reasons.FAILED, f"Error: {message}", name)

    def back_off(self, pod: Pod, name: str) -> None:
        """A container that failed waits before it is started again."""
        where = f"pod {pod.name}_{pod.namespace}({pod.uid})"
        message = f"Back-off restarting failed container {name} in {where}"
        self._warning(pod, reasons.BACK_OFF, message, name)

    def sandbox_changed(self, pod: Pod) -> None:
        """The sandbox is lost and will be made anew."""
        message = "Pod sandbox changed, it will be killed and re-created."
        self._normal(pod, reasons.SANDBOX_CHANGED, message)

    def sandbox_failed(self, pod: Pod, error: str) -> None:
        """No sandbox could be made."""
        message = f"Failed to create pod sandbox: {error}"
        self._warning(pod, reasons.FAILED_CREATE_POD_SANDBOX, message)

    def cgroup_failed(self, pod: Pod, error: str) -> None:
        """The pod's own cgroup could not be made.

        Source: kubernetes pkg/kubelet/kubelet.go ``SyncPod``.
        """
        message = f"unable to ensure pod container exists: {error}"
        self._warning(pod, reasons.FAILED_CREATE_POD_CONTAINER, message)

    def kill_failed(self, pod: Pod, error: str) -> None:
        """The pod could not be stopped; that is tried again."""
        self._warning(pod, reasons.FAILED_KILL_POD, f"error killing pod: {error}")

    def rejected(self, pod: Pod, message: str) -> None:
        """The pod is never run here.

        Source: kubernetes pkg/kubelet/kubelet.go ``rejectPod``.
        """
        self._warning(pod, reasons.FORBIDDEN_BY_POLICY, message)

    def unsupported(self, pod: Pod, message: str) -> None:
        """The pod asks for what this edgelet cannot do."""
        self._warning(pod, reasons.UNSUPPORTED, message)

    def _normal(self, pod: Pod, reason: str, message: str, name: str = "") -> None:
        self._recorder.record(
            pod, event_type=reasons.NORMAL, reason=reason, message=message, container_name=name
        )

    def _warning(self, pod: Pod, reason: str, message: str, name: str = "") -> None:
        self._recorder.record(
            pod, event_type=reasons.WARNING, reason=reason, message=message, container_name=name
        )
