"""What containerd downloads right now: the only sign of a pull's progress, CRI has none.

A blob that is being written is an ingest of the content store; it vanishes when it is complete. An
ingest does not name its image, so that progress is known of all pulls together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_protos import containerd_content_pb2 as pb
from edge_runtime.runtime.containerd_events import NAMESPACE
from edge_runtime.runtime.cri_channel import READ_TIMEOUT_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.runtime.cri_channel import CriChannel


class ContainerdContent:
    """The content store of one containerd."""

    def __init__(self, channel: CriChannel) -> None:
        self._channel = channel

    async def ingests(self) -> Mapping[str, int]:
        """Return how many bytes there are of each blob that is being written.

        Raises:
            Unimplemented: The runtime is no containerd.
            RuntimeServiceError: It does not answer.
        """
        response = await self._channel.unary(
            "/containerd.services.content.v1.Content/ListStatuses",
            pb.ListStatusesRequest(),
            pb.ListStatusesResponse,
            timeout_s=READ_TIMEOUT_S,
            metadata=(("containerd-namespace", NAMESPACE),),
        )
        return {each.ref: each.offset for each in response.statuses}
