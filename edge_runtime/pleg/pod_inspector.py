"""What the runtime has of a pod, with what only files tell: the last words of its containers."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.logs.termination_message import TerminationMessages
    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import PodUID, SandboxID
    from edge_runtime.objects.runtime_status import (
        ContainerStatus,
        PodListing,
        PodRuntimeStatus,
        RuntimeContainer,
        RuntimeSandbox,
    )


class StatusRuntime(Protocol):
    """What is asked (runtime/cri_client.py); every method raises RuntimeServiceError."""

    async def list_pod_sandboxes(self) -> Sequence[RuntimeSandbox]:
        """Return all sandboxes."""
        ...

    async def list_containers(self) -> Sequence[RuntimeContainer]:
        """Return all containers."""
        ...

    async def pod_status(
        self, uid: PodUID, *, listed: PodListing | None = None
    ) -> PodRuntimeStatus:
        """Return all that the runtime has of one pod, or the newest of what was listed."""
        ...

    async def container_status(
        self, container_id: ContainerID, *, sandbox_id: SandboxID | None = None
    ) -> ContainerStatus:
        """Return one container's status."""
        ...


class PodInspector:
    """Looks at pods; every method raises RuntimeServiceError.

    Source: kubernetes pkg/kubelet/kuberuntime ``convertToKubeContainerStatus``.
    """

    def __init__(self, runtime: StatusRuntime, messages: TerminationMessages) -> None:
        self._runtime = runtime
        self._messages = messages

    async def list_pod_sandboxes(self) -> Sequence[RuntimeSandbox]:
        """Return all sandboxes."""
        return await self._runtime.list_pod_sandboxes()

    async def list_containers(self) -> Sequence[RuntimeContainer]:
        """Return all containers."""
        return await self._runtime.list_containers()

    async def pod_status(
        self, uid: PodUID, *, listed: PodListing | None = None
    ) -> PodRuntimeStatus:
        """Return all that the runtime has of one pod, or the newest of what was listed."""
        status = await self._runtime.pod_status(uid, listed=listed)
        containers = await asyncio.gather(
            *(self._messages.added_to(each) for each in status.containers)
        )
        return dataclasses.replace(status, containers=tuple(containers))

    async def container_status(
        self, container_id: ContainerID, *, sandbox_id: SandboxID | None = None
    ) -> ContainerStatus:
        """Return one container's status."""
        found = await self._runtime.container_status(container_id, sandbox_id=sandbox_id)
        return await self._messages.added_to(found)
