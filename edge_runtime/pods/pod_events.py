"""Events of pods in the words of a kubelet 1.36.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go, kuberuntime_manager.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_runtime.events import reasons
from edge_runtime.objects.pod_failure import REJECTED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.objects.container import Container, ContainerID
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.pod_failure import PodFailure
    from edge_runtime.pod_network.dns_config import DnsWarning


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

    def post_start_failed(self, pod: Pod, container: Container) -> None:
        """A postStart hook failed; what it said may hold secrets, so the event does not."""
        self._warning(pod, reasons.FAILED_POST_START_HOOK, "PostStartHook failed", container.name)

    def deadline_exceeded(self, pod: Pod, message: str) -> None:
        """The pod's active deadline passed.

        Source: kubernetes pkg/kubelet/active_deadline.go.
        """
        self._normal(pod, reasons.DEADLINE_EXCEEDED, message)

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

    def volume_failed(self, pod: Pod, name: str, message: str) -> None:
        """A volume could not be made ready or brought up to date; that is tried again.

        Source: kubernetes pkg/volume/util/operationexecutor ``GenerateMountVolumeFunc``.
        """
        text = f'MountVolume.SetUp failed for volume "{name}" : {message}'
        self._warning(pod, reasons.FAILED_MOUNT, text)

    def kill_failed(self, pod: Pod, error: str) -> None:
        """The pod could not be stopped; that is tried again."""
        self._warning(pod, reasons.FAILED_KILL_POD, f"error killing pod: {error}")

    def rejected(self, pod: Pod, failure: PodFailure) -> None:
        """The pod is never run here.

        Source: kubernetes pkg/kubelet/kubelet.go ``rejectPod``.
        """
        self._warning(pod, failure.reason, failure.message.removeprefix(REJECTED))

    def pre_stop_failed(self, pod: Pod, name: str) -> None:
        """A container's hook failed; it is stopped all the same."""
        self._warning(pod, reasons.FAILED_PRE_STOP_HOOK, "PreStopHook failed", name)

    def http_fallback(self, pod: Pod, host: str) -> None:
        """A hook asked over HTTPS, was answered without, and asked again.

        Source: kubernetes pkg/kubelet/lifecycle/handlers.go ``runHTTPHandler``.
        """
        message = (
            f"request to HTTPS lifecycle hook {host} got HTTP response, retry with HTTP succeeded"
        )
        self._warning(pod, reasons.LIFECYCLE_HTTP_FALLBACK, message)

    def probe_failed(self, pod: Pod, name: str, probe: str, output: str) -> None:
        """A probe found a container wanting.

        Args:
            pod: The pod.
            name: The container.
            probe: ``Readiness``, ``Liveness`` or ``Startup``.
            output: What the probe said.

        Source: kubernetes pkg/kubelet/prober/prober.go ``probe``.
        """
        self._warning(pod, reasons.UNHEALTHY, f"{probe} probe failed: {output}", name)

    def probe_errored(self, pod: Pod, name: str, probe: str, result: str, error: str) -> None:
        """A probe could not be made, which counts as `result`; see `probe_failed`."""
        message = f"{probe} probe errored and resulted in {result} state: {error}"
        self._warning(pod, reasons.UNHEALTHY, message, name)

    def probe_warned(self, pod: Pod, name: str, probe: str, output: str) -> None:
        """A probe succeeded in a way that somebody should look at; see `probe_failed`."""
        self._warning(pod, reasons.PROBE_WARNING, f"{probe} probe warning: {output}", name)

    def network_not_ready(self, pod: Pod, error: str) -> None:
        """The runtime cannot give pods a network yet.

        Source: kubernetes pkg/kubelet/kubelet.go ``SyncPod``.
        """
        self._warning(pod, reasons.NETWORK_NOT_READY, f"network is not ready: {error}")

    def dns_config_formed(self, pod: Pod, warnings: Iterable[DnsWarning]) -> None:
        """The pod's resolv.conf is not all that was asked for."""
        for each in warnings:
            self._warning(pod, each.reason, each.message)

    def grace_period_exceeded(self, pod: Pod) -> None:
        """The runtime did not stop a pod in time.

        Source: kubernetes pkg/kubelet/pod_workers.go ``killPodNow``.
        """
        message = "Container runtime did not kill the pod within specified grace period."
        self._warning(pod, reasons.EXCEEDED_GRACE_PERIOD, message)

    def evicted(self, pod: Pod, message: str) -> None:
        """The pod is ended because the machine runs short, or it used more than it may.

        Source: kubernetes pkg/kubelet/eviction/eviction_manager.go ``evictPod``.
        """
        self._warning(pod, reasons.EVICTED, message)

    def preempted(self, pod: Pod) -> None:
        """The pod is ended to make room for a critical one.

        Source: kubernetes pkg/kubelet/preemption/preemption.go ``evictPodsToFreeRequests``.
        """
        self._warning(pod, reasons.PREEMPTING, "Preempted in order to admit critical pod")

    def resize(self, pod: Pod, *, reason: str, message: str, is_warning: bool) -> None:
        """A resize began, ended, waits or failed."""
        tell = self._warning if is_warning else self._normal
        tell(pod, reason, message)

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
