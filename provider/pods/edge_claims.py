"""What an edge may say of pods: its own, in their form, and not without end. Pure.

A certificate makes an edge this site's, not honest. What it says of a pod of its own is for it to
say, true or not: it runs them. All else is refused here, or made harmless, before it reaches the
API in the node's name. NodeRestriction would refuse some of it, and nobody the rest: a node may
write events about anything there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from provider.pods.desired_state import OWNED_CONDITIONS, SHARED_CONDITIONS
from provider.telemetry.plain_text import plain_json, plain_line, plain_text
from tunnel.errors import SyncError

if TYPE_CHECKING:
    from tunnel.sync import EventReport, Hello, PodStatus

Json = dict[str, Any]

# An object of the API has at most 1.5 MiB, a kubelet's status of a large pod some 50 KiB.
MAX_STATUS_BYTES: Final = 256 << 10
# A node has hundreds of pods, and the edge some more of which nobody has told it yet.
MAX_PODS: Final = 4096
# Of another provider's time there may be as many again as are followed now.
MAX_OBJECTS: Final = 8192
MAX_REASON_CHARACTERS: Final = 128
MAX_MESSAGE_CHARACTERS: Final = 1024
MAX_ID_CHARACTERS: Final = 128
# Of namespaces that some pod of the site was in.
MAX_NAMESPACES: Final = 4096
# The provider's own events have such ids.
OWN_EVENT_PREFIX: Final = "provider/"
_EVENT_TYPES = ("Normal", "Warning")
_MAX_COUNT = (1 << 31) - 1
_CONTAINER_LISTS = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
_ADDRESS_LISTS = ("hostIPs", "podIPs")
_OBJECTS = ("resources", "allocatedResources")


def check_hello(hello: Hello) -> None:
    """Refuse an edge that holds more than any does.

    Raises:
        SyncError: It speaks of more than MAX_PODS pods, MAX_OBJECTS objects or MAX_NAMESPACES
            namespaces.
    """
    if max(len(hello.pods), len(hello.statuses)) > MAX_PODS:
        raise SyncError(f"the edge's Hello speaks of more than {MAX_PODS} pods")
    if len(hello.objects) > MAX_OBJECTS:
        raise SyncError(f"the edge's Hello speaks of more than {MAX_OBJECTS} objects")
    if len(hello.services) > MAX_NAMESPACES:
        raise SyncError(f"the edge's Hello speaks of more than {MAX_NAMESPACES} namespaces")


def believed_status(message: PodStatus) -> Json:
    """Return a pod's status as it may be written to the API.

    Conditions that belong to others are left out: readiness gates are not the node's to open.

    Raises:
        SyncError: It is too large, or no status.
    """
    if len(msgspec.json.encode(message.status)) > MAX_STATUS_BYTES:
        raise SyncError(f"a pod's status has more than {MAX_STATUS_BYTES} bytes")
    try:
        status: Json = plain_json(message.status)
    except ValueError as exc:
        raise SyncError(f"a pod's status is no status: {exc}") from exc
    _check_shape(status)
    believed = OWNED_CONDITIONS | SHARED_CONDITIONS
    conditions = [each for each in status.get("conditions") or () if each.get("type") in believed]
    return {**status, "conditions": conditions} if "conditions" in status else status


def believed_event(event: EventReport, pod: Json) -> EventReport | None:
    """Return an event about a pod as it may be written to the API, None when it may not.

    Args:
        event: As the edge has it.
        pod: The API's metadata of the pod that it names by UID; the reference is made from that.
    """
    is_named = all(event.regarding.get(key) == pod.get(key) for key in ("namespace", "name", "uid"))
    if not is_named or event.regarding.get("kind") != "Pod":
        return None
    regarding = {"apiVersion": "v1", "kind": "Pod"}
    regarding |= {key: str(pod[key]) for key in ("namespace", "name", "uid")}
    field_path = event.regarding.get("fieldPath")
    if isinstance(field_path, str):
        regarding["fieldPath"] = plain_line(field_path, max_characters=MAX_REASON_CHARACTERS)
    return _plain_event(event, regarding)


def believed_node_event(event: EventReport, *, node_name: str) -> EventReport | None:
    """Return an event about the edge's own machine as it may be written, None when it may not.

    Whatever node it names, the reference is to its own; like a kubelet's, its UID is the name.
    """
    if event.regarding.get("kind") != "Node":
        return None
    return _plain_event(event, {"kind": "Node", "name": node_name, "uid": node_name})


def _plain_event(event: EventReport, regarding: dict[str, str]) -> EventReport | None:
    if event.event_type not in _EVENT_TYPES:
        return None
    if event.id.startswith(OWN_EVENT_PREFIX) or len(event.id) > MAX_ID_CHARACTERS:
        return None
    return msgspec.structs.replace(
        event,
        regarding=regarding,
        reason=plain_line(event.reason, max_characters=MAX_REASON_CHARACTERS),
        message=plain_text(event.message, max_characters=MAX_MESSAGE_CHARACTERS),
        count=min(max(event.count, 1), _MAX_COUNT),
    )


def _check_shape(status: Json) -> None:
    """Look at what is read here; the API server looks at all of it."""
    for field in (*_CONTAINER_LISTS, *_ADDRESS_LISTS, "conditions"):
        items = status.get(field) or []
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise SyncError(f"a pod's status is no status: {field} is no list of objects")
    for field in _OBJECTS:
        if not isinstance(status.get(field) or {}, dict):
            raise SyncError(f"a pod's status is no status: {field} is no object")
    for condition in status.get("conditions") or ():
        if not all(isinstance(condition.get(key), str) for key in ("type", "status")):
            raise SyncError("a pod's status is no status: a condition without type or status")
