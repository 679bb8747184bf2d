"""Containers: calls of CRI's RuntimeService."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cri_protos import api_pb2 as pb
from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import SandboxID
from edge_runtime.objects.runtime_status import POD_UID_LABEL
from edge_runtime.runtime.cri_channel import CHANGE_TIMEOUT_S, READ_TIMEOUT_S, CriCalls
from edge_runtime.runtime.cri_decoding import decode_container, decode_container_status
from edge_runtime.runtime.cri_encoding import (
    encode_container_config,
    encode_resources,
    encode_sandbox_config,
)
from edge_runtime.runtime.errors import NotFound

if TYPE_CHECKING:
    from edge_runtime.objects.pod import PodUID
    from edge_runtime.objects.runtime_config import ContainerConfig, SandboxConfig
    from edge_runtime.objects.runtime_status import (
        ContainerResources,
        ContainerStatus,
        RuntimeContainer,
    )


class CriContainers(CriCalls):
    """Calls about containers; all raise RuntimeServiceError."""

    async def create_container(
        self, sandbox_id: SandboxID, config: ContainerConfig, sandbox: SandboxConfig
    ) -> ContainerID:
        """Create a container in a ready sandbox, and return its id; it does not run yet."""
        request = pb.CreateContainerRequest(
            pod_sandbox_id=sandbox_id,
            config=encode_container_config(config),
            sandbox_config=encode_sandbox_config(sandbox),
        )
        response = await self._runtime_call(
            "CreateContainer", request, pb.CreateContainerResponse, timeout_s=CHANGE_TIMEOUT_S
        )
        return ContainerID(response.container_id)

    async def start_container(self, container_id: ContainerID) -> None:
        """Start a created container."""
        await self._runtime_call(
            "StartContainer",
            pb.StartContainerRequest(container_id=container_id),
            pb.StartContainerResponse,
            timeout_s=CHANGE_TIMEOUT_S,
        )

    async def stop_container(self, container_id: ContainerID, *, timeout_s: int) -> None:
        """Stop a container with its stop signal, and kill it after ``timeout_s``.

        Nothing to do when it has exited or is gone.
        """
        with suppress(NotFound):
            await self._runtime_call(
                "StopContainer",
                pb.StopContainerRequest(container_id=container_id, timeout=timeout_s),
                pb.StopContainerResponse,
                timeout_s=timeout_s + CHANGE_TIMEOUT_S,
            )

    async def remove_container(self, container_id: ContainerID) -> None:
        """Remove a container, killing it when it runs; nothing to do when it is gone.

        Its log file stays.
        """
        with suppress(NotFound):
            await self._runtime_call(
                "RemoveContainer",
                pb.RemoveContainerRequest(container_id=container_id),
                pb.RemoveContainerResponse,
                timeout_s=CHANGE_TIMEOUT_S,
            )

    async def container_status(
        self, container_id: ContainerID, *, sandbox_id: SandboxID | None = None
    ) -> ContainerStatus:
        """Return a container's status; its sandbox is known only to the caller."""
        response = await self._runtime_call(
            "ContainerStatus",
            pb.ContainerStatusRequest(container_id=container_id),
            pb.ContainerStatusResponse,
            timeout_s=READ_TIMEOUT_S,
        )
        return decode_container_status(response.status, sandbox_id or SandboxID(""))

    async def list_containers(
        self, *, pod_uid: PodUID | None = None, sandbox_id: SandboxID | None = None
    ) -> tuple[RuntimeContainer, ...]:
        """Return all containers, or those of one pod or sandbox, in no particular order."""
        selector = {} if pod_uid is None else {POD_UID_LABEL: pod_uid}
        selection = pb.ContainerFilter(label_selector=selector, pod_sandbox_id=sandbox_id or "")
        response = await self._runtime_call(
            "ListContainers",
            pb.ListContainersRequest(filter=selection),
            pb.ListContainersResponse,
            timeout_s=READ_TIMEOUT_S,
        )
        return tuple(decode_container(item) for item in response.containers)

    async def update_container_resources(
        self, container_id: ContainerID, resources: ContainerResources
    ) -> None:
        """Change what a running container is confined to."""
        request = pb.UpdateContainerResourcesRequest(
            container_id=container_id, linux=encode_resources(resources)
        )
        await self._runtime_call(
            "UpdateContainerResources",
            request,
            pb.UpdateContainerResourcesResponse,
            timeout_s=CHANGE_TIMEOUT_S,
        )

    async def reopen_container_log(self, container_id: ContainerID) -> None:
        """Make the runtime open a running container's log file anew, after it was renamed."""
        await self._runtime_call(
            "ReopenContainerLog",
            pb.ReopenContainerLogRequest(container_id=container_id),
            pb.ReopenContainerLogResponse,
            timeout_s=CHANGE_TIMEOUT_S,
        )
