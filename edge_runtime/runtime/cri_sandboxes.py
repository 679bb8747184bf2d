"""Pod sandboxes: calls of CRI's RuntimeService."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from cri_protos import api_pb2 as pb
from edge_runtime.objects.pod import SandboxID
from edge_runtime.objects.runtime_status import POD_UID_LABEL
from edge_runtime.runtime.cri_channel import (
    CHANGE_TIMEOUT_S,
    READ_TIMEOUT_S,
    SANDBOX_TIMEOUT_S,
    CriCalls,
)
from edge_runtime.runtime.cri_decoding import decode_sandbox, decode_sandbox_status
from edge_runtime.runtime.cri_encoding import encode_sandbox_config
from edge_runtime.runtime.errors import NotFound

if TYPE_CHECKING:
    from edge_runtime.objects.pod import PodUID
    from edge_runtime.objects.runtime_config import SandboxConfig
    from edge_runtime.objects.runtime_status import RuntimeSandbox, SandboxStatus


class CriSandboxes(CriCalls):
    """Calls about pod sandboxes; all raise RuntimeServiceError."""

    async def run_pod_sandbox(self, config: SandboxConfig) -> SandboxID:
        """Make a sandbox with its network and return its id."""
        request = pb.RunPodSandboxRequest(
            config=encode_sandbox_config(config), runtime_handler=config.runtime_handler
        )
        response = await self._runtime_call(
            "RunPodSandbox", request, pb.RunPodSandboxResponse, timeout_s=SANDBOX_TIMEOUT_S
        )
        return SandboxID(response.pod_sandbox_id)

    async def stop_pod_sandbox(self, sandbox_id: SandboxID) -> None:
        """Stop a sandbox, its containers and its network; nothing to do when it is gone."""
        with suppress(NotFound):
            await self._runtime_call(
                "StopPodSandbox",
                pb.StopPodSandboxRequest(pod_sandbox_id=sandbox_id),
                pb.StopPodSandboxResponse,
                timeout_s=CHANGE_TIMEOUT_S,
            )

    async def remove_pod_sandbox(self, sandbox_id: SandboxID) -> None:
        """Remove a sandbox with all its containers; nothing to do when it is gone."""
        with suppress(NotFound):
            await self._runtime_call(
                "RemovePodSandbox",
                pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id),
                pb.RemovePodSandboxResponse,
                timeout_s=CHANGE_TIMEOUT_S,
            )

    async def pod_sandbox_status(self, sandbox_id: SandboxID) -> SandboxStatus:
        """Return a sandbox's status with its addresses."""
        response = await self._runtime_call(
            "PodSandboxStatus",
            pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id),
            pb.PodSandboxStatusResponse,
            timeout_s=READ_TIMEOUT_S,
        )
        return decode_sandbox_status(response.status)

    async def list_pod_sandboxes(
        self, *, pod_uid: PodUID | None = None
    ) -> tuple[RuntimeSandbox, ...]:
        """Return all sandboxes, or those of one pod, in no particular order."""
        selector = {} if pod_uid is None else {POD_UID_LABEL: pod_uid}
        response = await self._runtime_call(
            "ListPodSandbox",
            pb.ListPodSandboxRequest(filter=pb.PodSandboxFilter(label_selector=selector)),
            pb.ListPodSandboxResponse,
            timeout_s=READ_TIMEOUT_S,
        )
        return tuple(decode_sandbox(item) for item in response.items)
