"""What to patch so that the API's status of a pod becomes the edge's. Pure.

The API's status is compared with the edge's whenever either changes, so that what others wrote (a
node controller that set Ready to False) is put right; what the edge does not own stays.

Source: pkg/kubelet/status/status_manager.go, mergePodStatus and needsReconcile; the merge
strategies are those of k8s.io/api/core/v1 types.go, PodStatus.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from provider.pods.desired_state import OWNED_CONDITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]

TERMINAL_PHASES: Final = frozenset({"Succeeded", "Failed"})
# Once set they stay: a status without them does not take them away.
_LASTING = ("phase", "startTime", "qosClass", "observedGeneration")
# Owned, and null when the edge's status has none: a field left out of a patch would survive.
_SCALARS = ("message", "reason", "hostIP", "podIP", "resize")
# Merged by `ip` under strategic merge, so that an old address would stay beside the new one.
_MERGED_LISTS = ("hostIPs", "podIPs")
# No merge strategy: the new list is the list.
_ATOMIC_LISTS = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
_OBJECTS = ("resources", "allocatedResources")
# The scheduler's word, which the edge repeats.
_NEVER_REMOVED = frozenset({"PodScheduled"})
_LOST_MESSAGE = "The container could not be located when the pod was terminated"


def is_terminal(pod: Json) -> bool:
    """Whether the pod's phase can never change again."""
    return (pod.get("status") or {}).get("phase") in TERMINAL_PHASES


def compute_status_patch(pod: Json, status: Json) -> Json | None:
    """Return the strategic-merge patch of pods/status, or None when there is nothing to do.

    A terminal phase stays what it is, and a status that would bring the pod back to life is left
    out as a whole.

    Args:
        pod: The pod as the API holds it; its UID becomes the patch's precondition.
        status: The edge's newest status.
    """
    live: Json = pod.get("status") or {}
    phase = status.get("phase")
    if is_terminal(pod) and phase not in TERMINAL_PHASES:
        return None
    if is_terminal(pod):
        status = {**status, "phase": live["phase"]}
    changes = dict(_field_changes(live, status))
    if conditions := _condition_changes(live.get("conditions") or [], status):
        changes["conditions"] = conditions
    if not changes:
        return None
    return {"metadata": {"uid": pod["metadata"]["uid"]}, "status": changes}


def dropped_fields(patch: Json, answer: Json) -> frozenset[str]:
    """Return the fields of a patch that the API server does not know: older ones drop them.

    They would differ for ever.

    Args:
        patch: What was sent.
        answer: The pod as the API holds it then.
    """
    sent, held = patch["status"], answer.get("status") or {}
    newer = ("observedGeneration", *_OBJECTS)
    return frozenset(field for field in newer if sent.get(field) is not None and field not in held)


def compute_lost_status(pod: Json, *, now: str) -> Json:
    """Return the terminal status of a pod of which the edge says only that nothing of it is left.

    It never ran there, or the edge lost its store. Containers that the API takes for running have
    an unknown end (exit code 137).

    Source: pkg/kubelet/status/status_manager.go, TerminatePod.

    Args:
        pod: The pod as the API holds it.
        now: RFC 3339, UTC.
    """
    live: Json = pod.get("status") or {}
    lists = {
        field: [_lost_container(item) for item in live[field]]
        for field in _ATOMIC_LISTS
        if live.get(field)
    }
    ran = any(item.get("containerID") for field in lists for item in live[field])
    reason, message = "NeverRan", "The pod was deleted before its node ran it"
    if ran:
        reason, message = "ContainerStatusUnknown", _LOST_MESSAGE
    kept = {key: value for key, value in live.items() if key != "conditions"}
    conditions = [
        _not_ready(condition, now=now) if condition.get("type") in _READINESS else condition
        for condition in live.get("conditions") or ()
    ]
    ended = {"phase": "Failed", "reason": reason, "message": message, "conditions": conditions}
    return {**kept, **lists, **ended}


_READINESS = frozenset({"Ready", "ContainersReady"})


def _not_ready(condition: Json, *, now: str) -> Json:
    since = condition.get("lastTransitionTime") if condition.get("status") == "False" else now
    changes = {"status": "False", "reason": "PodFailed", "lastTransitionTime": since}
    return {**condition, **changes}


def _lost_container(container: Json) -> Json:
    if "terminated" in (container.get("state") or {}):
        return {**container, "ready": False}
    ended = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": _LOST_MESSAGE}
    if container_id := container.get("containerID"):
        ended["containerID"] = container_id
    return {**container, "ready": False, "started": False, "state": {"terminated": ended}}


def _field_changes(live: Json, status: Json) -> Iterator[tuple[str, Any]]:
    for field in _LASTING:
        if status.get(field) and status[field] != live.get(field):
            yield field, status[field]
    for field in (*_SCALARS, *_ATOMIC_LISTS):
        if _trim(status.get(field)) != _trim(live.get(field)):
            yield field, status.get(field) or None
    for field in _MERGED_LISTS:
        if _trim(status.get(field)) != _trim(live.get(field)):
            yield field, [{"$patch": "replace"}, *(status.get(field) or ())]
    yield from _object_changes(live, status)


def _object_changes(live: Json, status: Json) -> Iterator[tuple[str, Any]]:
    for field in _OBJECTS:
        if field in live and field not in status:
            yield field, None
        elif field in status and field not in live:
            # Without a directive: one about what is not there is dropped with all it says.
            yield field, status[field]
        elif _trim(status.get(field)) != _trim(live.get(field)):
            yield field, {"$patch": "replace", **status[field]}


def _condition_changes(live: list[Json], status: Json) -> list[Json]:
    """Return the conditions to merge by type; the times of an unchanged status are the API's."""
    known = {condition.get("type"): condition for condition in live}
    wanted = {condition.get("type"): condition for condition in status.get("conditions") or ()}
    changes = []
    for kind, condition in wanted.items():
        before = known.get(kind, {})
        if before.get("status") == condition.get("status"):
            condition = {**condition, **_times(before)}
        if _trim(condition) != _trim(before):
            # Merged key by key: what the edge no longer says must be taken away by name.
            gone = {key: None for key in before if key not in condition}
            changes.append({**gone, **condition})
    removed = (OWNED_CONDITIONS & set(known)) - set(wanted) - _NEVER_REMOVED
    return changes + [{"$patch": "delete", "type": kind} for kind in sorted(removed)]


def _times(condition: Json) -> Json:
    keys = ("lastTransitionTime", "lastProbeTime")
    return {key: condition[key] for key in keys if condition.get(key)}


def _trim(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Drop what means nothing: nulls and empty texts, lists and objects, at any depth."""
    if isinstance(value, dict):
        trimmed = {key: _trim(item) for key, item in value.items()}
        return {key: item for key, item in trimmed.items() if item is not None} or None
    if isinstance(value, list):
        return [_trim(item) for item in value] or None
    return None if value == "" else value
