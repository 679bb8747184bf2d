"""Events as containerd tells them itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cri_protos import containerd_events_pb2 as pb
from edge_runtime.objects.runtime_status import RuntimeEventType
from edge_runtime.runtime.containerd_events import decode_envelope

if TYPE_CHECKING:
    from google.protobuf.message import Message


def envelope(topic: str, event: Message) -> pb.Envelope:
    """An event as it comes over the wire."""
    result = pb.Envelope(namespace="k8s.io", topic=topic)
    result.timestamp.FromNanoseconds(1_500_000_000_000_000_001)
    result.event.value = event.SerializeToString()
    return result


@pytest.mark.parametrize(
    ("topic", "event", "expected"),
    [
        ("/tasks/exit", pb.TaskExit(container_id="c", id="c"), RuntimeEventType.STOPPED),
        ("/containers/delete", pb.ContainerDelete(id="c"), RuntimeEventType.DELETED),
    ],
)
def test_ends_of_a_container(topic: str, event: Message, expected: RuntimeEventType) -> None:
    """Each topic is one kind of end, with the time of containerd."""
    found = decode_envelope(envelope(topic, event))
    assert found is not None
    assert (found.container_id, found.type, found.pod_uid) == ("c", expected, "")
    assert found.timestamp_ns == 1_500_000_000_000_000_001


def test_the_end_of_an_exec_is_no_change() -> None:
    """A probe's command that ends must not make everything be listed again."""
    ended = envelope("/tasks/exit", pb.TaskExit(container_id="c", id="exec-1"))
    assert decode_envelope(ended) is None


def test_unknown_topics_are_left_out() -> None:
    """The filter keeps them away; a newer containerd may not."""
    for topic in ("/images/create", "/tasks/start"):
        assert decode_envelope(envelope(topic, pb.TaskStart())) is None
