"""containerd's own event stream: what ended, for runtimes without CRI's GetContainerEvents.

containerd 1.6 serves it on the same socket as CRI. An event names a container or sandbox (both are
containers to containerd) but no pod; whoever listens looks the pod up, or lists again.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from cri_protos import containerd_events_pb2 as pb
from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.runtime_status import RuntimeEvent, RuntimeEventType

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from edge_runtime.runtime.cri_channel import CriChannel

# The namespace in which containerd's CRI plugin keeps everything.
NAMESPACE = "k8s.io"
# Who starts something knows it; to be told of it, too, would take a start of many pods its time.
_TOPICS = ("/tasks/exit", "/containers/delete")


class ContainerdEvents:
    """The event stream of one containerd."""

    def __init__(self, channel: CriChannel) -> None:
        self._channel = channel

    async def events(self) -> AsyncGenerator[RuntimeEvent, None]:
        """Yield endings until left or containerd goes away; ``pod_uid`` is always "".

        Raises:
            Unimplemented: The runtime is no containerd.
            RuntimeServiceError: The connection was lost; events may have been missed.
        """
        filters = [f'namespace=={NAMESPACE},topic=="{topic}"' for topic in _TOPICS]
        stream = self._channel.stream(
            "/containerd.services.events.v1.Events/Subscribe",
            pb.SubscribeRequest(filters=filters),
            pb.Envelope,
            metadata=(("containerd-namespace", NAMESPACE),),
        )
        async with aclosing(stream) as envelopes:
            async for envelope in envelopes:
                event = decode_envelope(envelope)
                if event is not None:
                    yield event


def decode_envelope(envelope: pb.Envelope) -> RuntimeEvent | None:
    """Decode one event; None where only an exec in a container ended, or the topic is unknown."""
    found = _decode_topic(envelope.topic, envelope.event.value)
    if found is None:
        return None
    container_id, event_type = found
    return RuntimeEvent(
        container_id=container_id,
        type=event_type,
        pod_uid=PodUID(""),
        timestamp_ns=envelope.timestamp.ToNanoseconds(),
    )


def _decode_topic(topic: str, event: bytes) -> tuple[str, RuntimeEventType] | None:
    match topic:
        case "/tasks/exit":
            task_exit = pb.TaskExit.FromString(event)
            if task_exit.id not in ("", task_exit.container_id):
                return None
            return task_exit.container_id, RuntimeEventType.STOPPED
        case "/containers/delete":
            return pb.ContainerDelete.FromString(event).id, RuntimeEventType.DELETED
        case _:
            return None
