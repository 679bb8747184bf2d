"""What the edge is told of a pod, and the revision that names it. Pure.

The revision is a hash of what the edge acts on and of nothing else: our own status patches and the
node controller's change the object all the time, and must not send every pod down again.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from tunnel.sync import PodPut

Json = dict[str, Any]

# Source: pkg/kubelet/types/pod_status.go, PodConditionsByKubelet.
OWNED_CONDITIONS: Final = frozenset(
    {
        "PodScheduled",
        "PodReadyToStartContainers",
        "Initialized",
        "Ready",
        "ContainersReady",
        "PodResizePending",
        "PodResizeInProgress",
        "AllContainersRestarting",
    }
)
# Set by the node and by others: the edge may add it, and never removes another's.
SHARED_CONDITIONS: Final = frozenset({"DisruptionTarget"})
# The API server's bookkeeping; the edge acts on none of it.
_NOISE = ("managedFields", "resourceVersion", "selfLink")
_encoder = msgspec.json.Encoder(order="sorted")


def pod_uid(pod: Json) -> str:
    """Return the pod's UID, which alone identifies it."""
    return str(pod["metadata"]["uid"])


def compute_revision(pod: Json) -> str:
    """Return the hash of what the edge acts on.

    Of the foreign conditions (readiness gates) only type and status count; finalizers do not.
    """
    metadata = {key: value for key, value in _metadata(pod).items() if key != "finalizers"}
    gates = sorted(
        (str(condition.get("type")), str(condition.get("status")))
        for condition in _foreign_conditions(pod)
    )
    content = {"metadata": metadata, "spec": pod.get("spec"), "conditions": gates}
    return hashlib.blake2b(_encoder.encode(content), digest_size=16).hexdigest()


def compute_pod_put(pod: Json, *, with_status: bool) -> PodPut:
    """Return the message that brings a pod to the edge.

    Args:
        pod: The API's object.
        with_status: Send the stored status, for an edge that does not know the UID; otherwise
            only the conditions that the edge does not own.
    """
    status: Json = {}
    if with_status:
        status = pod.get("status") or {}
    elif foreign := _foreign_conditions(pod):
        status = {"conditions": foreign}
    desired = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(pod),
        "spec": pod.get("spec") or {},
        "status": status,
    }
    return PodPut(uid=pod_uid(pod), revision=compute_revision(pod), pod=desired)


def _metadata(pod: Json) -> Json:
    return {key: value for key, value in pod["metadata"].items() if key not in _NOISE}


def _foreign_conditions(pod: Json) -> list[Json]:
    not_foreign = OWNED_CONDITIONS | SHARED_CONDITIONS
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return [condition for condition in conditions if condition.get("type") not in not_foreign]
