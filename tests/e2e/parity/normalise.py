"""Take out of what two nodes tell all that has to differ: ids, times, names, addresses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Json = dict[str, Any]

_TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\b")
# A container's or sandbox's id; an image's says which image it is, and is kept.
_ID = re.compile(r"(?<!sha256:)\b[0-9a-f]{64}\b")
# The volume of a pod's token, which the API server adds.
_TOKEN_VOLUME = re.compile(r"\bkube-api-access-[a-z0-9]{5}\b")
_FACE = ("state", "lastState", "ready", "started", "restartCount")


def words_of(pods: Iterable[Json], *, node: str) -> dict[str, str]:
    """Return what stands for what in one pod's documents, to be given to `normalise`."""
    words = {node: "NODE"}
    for pod in pods:
        metadata, status = pod["metadata"], pod.get("status", {})
        words |= {metadata["uid"]: "UID", metadata["namespace"]: "NAMESPACE"}
        words |= {one["ip"]: "POD-IP" for one in status.get("podIPs", [])}
        words |= {one["ip"]: "HOST-IP" for one in status.get("hostIPs", [])}
    return words


def normalise(value: Any, words: dict[str, str]) -> Any:  # noqa: ANN401 - any JSON
    """Return the value with every name of `words`, every id and every time replaced."""
    if isinstance(value, dict):
        return {key: normalise(one, words) for key, one in value.items()}
    if isinstance(value, list):
        return [normalise(one, words) for one in value]
    if not isinstance(value, str):
        return value
    # Longest first: a namespace may hold a node's name.
    for word in sorted(words, key=len, reverse=True):
        value = value.replace(word, words[word])
    return _ID.sub("ID", _TOKEN_VOLUME.sub("kube-api-access-ID", _TIME.sub("TIME", value)))


def events(items: Iterable[Json], words: dict[str, str]) -> dict[str, Json]:
    """Return one pod's events by what they say, with the fields that a kubelet gives them.

    How often one was counted depends on the moment of the deletion, so it is `once` or `again`.
    The scheduler's are the same for both nodes and are left out.
    """
    found: dict[str, Json] = {}
    for item in items:
        if item.get("source", {}).get("component") == "default-scheduler":
            continue
        if item.get("reportingComponent") == "default-scheduler":
            continue
        one = normalise(item, words)
        name = " ".join(" ".join((one["type"], one["reason"], one["message"])).split())
        path = one["involvedObject"].get("fieldPath", "")
        again = one.get("count", 1) > 1 or (name, path) in found
        found[f"{name} ({path})"] = {
            "count": "again" if again else "once",
            "involvedObject": {
                key: value
                for key, value in one["involvedObject"].items()
                if key != "resourceVersion"
            },
            "source": one.get("source"),
            "reportingComponent": one.get("reportingComponent"),
            "reportingInstance": one.get("reportingInstance"),
            "firstTimestamp": one.get("firstTimestamp"),
            "lastTimestamp": one.get("lastTimestamp"),
            "eventTime": one.get("eventTime"),
            "action": one.get("action", ""),
        }
    return found


def faces(seen: Iterable[Json], words: dict[str, str]) -> dict[str, list[str]]:
    """Return every face that the pod's parts showed, each once, in the order they came.

    A part is the pod with its phase, a condition, or a container.
    """
    found: dict[str, list[str]] = {}
    for pod in seen:
        for part, face in _faces(normalise(pod.get("status", {}), words)):
            shown = found.setdefault(part, [])
            if face not in shown:
                shown.append(face)
    return found


def _faces(status: Json) -> Iterator[tuple[str, str]]:
    yield "phase", " ".join(str(status.get(k, "")) for k in ("phase", "reason", "message")).strip()
    for one in status.get("conditions", []):
        words = [one["status"], one.get("reason", ""), one.get("message", "")]
        yield f"condition {one['type']}", " ".join(words).strip()
    for kind in ("initContainerStatuses", "containerStatuses"):
        for one in status.get(kind, []):
            yield f"container {one['name']}", _flat({k: one.get(k) for k in _FACE})


def _flat(value: Any) -> str:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        inside = (f"{key}: {_flat(one)}" for key, one in sorted(value.items()) if one != {})
        return "{" + ", ".join(inside) + "}"
    return " ".join(str(value).split())
