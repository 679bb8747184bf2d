"""Figures: the calls of CRI's RuntimeService that measure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_protos import api_pb2 as pb
from edge_runtime.objects.runtime_status import POD_UID_LABEL
from edge_runtime.runtime.cri_channel import READ_TIMEOUT_S, CriCalls
from edge_runtime.runtime.stats_decoding import decode_container_stats, decode_sandbox_stats

if TYPE_CHECKING:
    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import PodUID
    from edge_runtime.objects.runtime_stats import ContainerStats, SandboxStats


class CriStats(CriCalls):
    """Calls that measure; each reads control groups, so ask rarely (4 ms per container).

    All raise RuntimeServiceError.
    """

    async def container_stats(self, container_id: ContainerID) -> ContainerStats:
        """Return one container's figures."""
        response = await self._runtime_call(
            "ContainerStats",
            pb.ContainerStatsRequest(container_id=container_id),
            pb.ContainerStatsResponse,
            timeout_s=READ_TIMEOUT_S,
        )
        return decode_container_stats(response.stats)

    async def list_container_stats(
        self, *, pod_uid: PodUID | None = None
    ) -> tuple[ContainerStats, ...]:
        """Return the figures of all containers, or of one pod's."""
        selector = {} if pod_uid is None else {POD_UID_LABEL: pod_uid}
        response = await self._runtime_call(
            "ListContainerStats",
            pb.ListContainerStatsRequest(filter=pb.ContainerStatsFilter(label_selector=selector)),
            pb.ListContainerStatsResponse,
            timeout_s=READ_TIMEOUT_S,
        )
        return tuple(decode_container_stats(each) for each in response.stats)

    async def list_pod_sandbox_stats(self) -> tuple[SandboxStats, ...]:
        """Return the figures of all pods.

        Raises:
            Unimplemented: The runtime only measures containers.
        """
        response = await self._runtime_call(
            "ListPodSandboxStats",
            pb.ListPodSandboxStatsRequest(),
            pb.ListPodSandboxStatsResponse,
            timeout_s=READ_TIMEOUT_S,
        )
        return tuple(decode_sandbox_stats(each) for each in response.stats)
