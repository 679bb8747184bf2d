"""Why a pod went, in a kubelet's words."""

from __future__ import annotations

from edge_runtime.eviction.messages import eviction_message, pressure_message
from edge_runtime.eviction.observations import Observation
from edge_runtime.objects.eviction_thresholds import Signal, Threshold, ThresholdValue
from tests.fakes.evictable_pods import pod, use

MIB = 1 << 20
GIB = 1 << 30


def test_message_of_memory() -> None:
    """Threshold, what is left, and each container above its request."""
    threshold = Threshold(signal=Signal.MEMORY_AVAILABLE, value=ThresholdValue("100Mi"))
    message = eviction_message(
        pod("p", requests={"memory": "64Mi"}),
        use(memory=65 * MIB),
        "memory",
        thresholds=[threshold],
        observations={Signal.MEMORY_AVAILABLE: Observation(99 * MIB + 1024, GIB)},
    )
    assert message == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 101377Ki. "
        "Container c was using 65Mi, request is 64Mi, has larger consumption of memory. "
    )


def test_message_of_storage() -> None:
    """Writable layer and logs together; a share of the disk as bytes; no request is 0."""
    threshold = Threshold(signal=Signal.NODEFS_AVAILABLE, value=ThresholdValue("50%"))
    message = eviction_message(
        pod("p"),
        use(layer=2 * MIB, logs=MIB),
        "ephemeral-storage",
        thresholds=[threshold],
        observations={Signal.NODEFS_AVAILABLE: Observation(GIB, 4 * GIB)},
    )
    assert message == (
        "The node was low on resource: ephemeral-storage. Threshold quantity: 2Gi, available:"
        " 1Gi. Container c was using 3Mi, request is 0, has larger consumption of"
        " ephemeral-storage. "
    )


def test_message_of_what_is_counted_and_of_an_unknown_pod() -> None:
    """Inodes have suffixes of 1000; nothing is said of who was not measured."""
    threshold = Threshold(signal=Signal.NODEFS_INODES_FREE, value=ThresholdValue("5000"))
    message = eviction_message(
        pod("p"),
        None,
        "inodes",
        thresholds=[threshold],
        observations={Signal.NODEFS_INODES_FREE: Observation(4000, 100_000)},
    )
    assert message == (
        "The node was low on resource: inodes. Threshold quantity: 5k, available: 4k. "
    )
    assert pressure_message(["DiskPressure", "PIDPressure"]) == (
        "The node had condition: [DiskPressure PIDPressure]. "
    )


def test_message_of_a_pods_own_request() -> None:
    """A pod that asks for memory as a whole is held to that first."""
    threshold = Threshold(signal=Signal.MEMORY_AVAILABLE, value=ThresholdValue("5%"))
    message = eviction_message(
        pod("p", requests={"memory": "2Mi"}, resources={"requests": {"memory": "1Mi"}}),
        use(memory=2 * MIB),
        "memory",
        thresholds=[threshold],
        observations={Signal.MEMORY_AVAILABLE: Observation(MIB, 100 * MIB)},
    )
    assert message == (
        "The node was low on resource: memory. Threshold quantity: 5Mi, available: 1Mi. "
        "Pod p was using 2Mi, request is 1Mi, has larger consumption of memory. "
    )
