"""CriClient: the container runtime as async methods; plain values in and out, never protos."""

from __future__ import annotations

from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Self

from cri_protos import api_pb2 as pb
from edge_runtime.objects.cgroup_names import CgroupDriver
from edge_runtime.objects.runtime_info import RuntimeVersion
from edge_runtime.objects.runtime_status import (
    POD_NAME_LABEL,
    POD_NAMESPACE_LABEL,
    PodListing,
    PodRuntimeStatus,
)
from edge_runtime.runtime.containerd_events import ContainerdEvents
from edge_runtime.runtime.cri_channel import READ_TIMEOUT_S, Called, CriChannel
from edge_runtime.runtime.cri_containers import CriContainers
from edge_runtime.runtime.cri_decoding import decode_event, decode_status, status_of_ended
from edge_runtime.runtime.cri_images import CriImages
from edge_runtime.runtime.cri_sandboxes import CriSandboxes
from edge_runtime.runtime.cri_stats import CriStats
from edge_runtime.runtime.cri_streaming import CriStreaming
from edge_runtime.runtime.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from types import TracebackType

    from edge_runtime.objects.pod import PodUID
    from edge_runtime.objects.runtime_info import RuntimeStatus
    from edge_runtime.objects.runtime_status import (
        ContainerStatus,
        RuntimeEvent,
        SandboxStatus,
    )
    from tunnel.tracing import Tracer


class CriClient(CriSandboxes, CriContainers, CriStreaming, CriStats, CriImages):
    """The runtime and image services of one CRI socket.

    Make it within the running event loop, as an async context manager or with ``close()`` at the
    end. Every method raises RuntimeServiceError and has a deadline of its own. Cancelling a call
    cancels it in the runtime; what that had done by then stays done.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        called: Called = lambda _method, *, duration_s, has_failed: None,
        tracer: Tracer | None = None,
    ) -> None:
        """Prepare the connection; nothing is sent before the first call.

        Args:
            endpoint: ``unix:///run/containerd/containerd.sock``.
            called: Told of each call that is over.
            tracer: Follows the calls that belong to a trace.
        """
        super().__init__(CriChannel(endpoint, called=called, tracer=tracer))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; calls that still run end as cancelled."""
        await self._channel.close()

    async def version(self) -> RuntimeVersion:
        """Return name and version of the runtime."""
        response = await self._runtime_call(
            "Version",
            pb.VersionRequest(version="v1"),
            pb.VersionResponse,
            timeout_s=READ_TIMEOUT_S,
        )
        return RuntimeVersion(
            name=response.runtime_name,
            version=response.runtime_version,
            api_version=response.runtime_api_version,
        )

    async def status(self) -> RuntimeStatus:
        """Return whether runtime and network are ready, and what the runtime can do."""
        return decode_status(
            await self._runtime_call(
                "Status", pb.StatusRequest(), pb.StatusResponse, timeout_s=READ_TIMEOUT_S
            )
        )

    async def cgroup_driver(self) -> CgroupDriver:
        """Return the runtime's cgroup driver (CRI RuntimeConfig).

        Raises:
            Unimplemented: The runtime does not tell (containerd before 2.0); the configured
                driver counts then.
        """
        response = await self._runtime_call(
            "RuntimeConfig",
            pb.RuntimeConfigRequest(),
            pb.RuntimeConfigResponse,
            timeout_s=READ_TIMEOUT_S,
        )
        systemd = response.linux.cgroup_driver == pb.SYSTEMD
        return CgroupDriver.SYSTEMD if systemd else CgroupDriver.CGROUPFS

    async def container_events(self) -> AsyncGenerator[RuntimeEvent, None]:
        """Yield changes as CRI tells them, until left or the runtime goes away.

        Raises:
            Unimplemented: The runtime has no such stream (containerd before 1.7).
        """
        stream = self._channel.stream(
            "/runtime.v1.RuntimeService/GetContainerEvents",
            pb.GetEventsRequest(),
            pb.ContainerEventResponse,
        )
        async with aclosing(stream) as messages:
            async for message in messages:
                event = decode_event(message)
                if event is not None:
                    yield event

    async def containerd_events(self) -> AsyncGenerator[RuntimeEvent, None]:
        """Yield endings as containerd tells them itself; their ``pod_uid`` is "".

        Raises:
            Unimplemented: The runtime is no containerd.
        """
        async with aclosing(ContainerdEvents(self._channel).events()) as events:
            async for event in events:
                yield event

    async def pod_status(
        self, uid: PodUID, *, listed: PodListing | None = None
    ) -> PodRuntimeStatus:
        """Return all that the runtime has of one pod, newest first.

        What is removed while this asks is left out. A sandbox that is not ready has no more to
        tell than its list: it has no addresses, and never becomes ready again.

        Args:
            uid: The pod.
            listed: What was just listed of it; without it the runtime is asked for the lists.

        Source: kubernetes pkg/kubelet/kuberuntime ``GetPodStatus``.
        """
        if listed is None:
            listed = PodListing(
                sandboxes=await self.list_pod_sandboxes(pod_uid=uid),
                containers=await self.list_containers(pod_uid=uid),
            )
        sandboxes: list[SandboxStatus] = []
        for sandbox in listed.sandboxes:
            if not sandbox.is_ready:
                sandboxes.append(status_of_ended(sandbox))
                continue
            with suppress(NotFound):
                sandboxes.append(await self.pod_sandbox_status(sandbox.id))
        containers: list[ContainerStatus] = []
        for container in listed.containers:
            with suppress(NotFound):
                containers.append(
                    await self.container_status(container.id, sandbox_id=container.sandbox_id)
                )
        sandboxes.sort(key=lambda each: (each.attempt, each.created_at_ns), reverse=True)
        containers.sort(key=lambda each: (each.created_at_ns, each.attempt), reverse=True)
        # Labels are on both, and either may be all that is left.
        found = [each.labels for each in sandboxes] + [each.labels for each in containers]
        labels = found[0] if found else {}
        return PodRuntimeStatus(
            uid=uid,
            name=labels.get(POD_NAME_LABEL, ""),
            namespace=labels.get(POD_NAMESPACE_LABEL, ""),
            sandboxes=tuple(sandboxes),
            containers=tuple(containers),
        )
