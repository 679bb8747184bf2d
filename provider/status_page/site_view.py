"""All that the page shows, as a value; pure.

Its JSON is what ``/edgelet/status.json`` answers: fields may be added, none changes its meaning.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Json = dict[str, Any]

# What a page holds: a node has some hundred pods, and whoever has more events reads the API.
MAX_PODS = 500
MAX_EVENTS = 50
_ENDED = ("Succeeded", "Failed")


class LinkView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The link now.

    Attributes:
        state: ``connected``, ``interrupted`` (the session waits for its next connection) or
            ``offline``.
        since: UTC.
        last_error: Why there is no connection; "" while there is one.
        round_trip_seconds: Of the last PING.
    """

    state: str
    since: datetime
    last_error: str = ""
    round_trip_seconds: float | None = None


class SampleView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The link at one moment of the past."""

    at: datetime
    connected: bool
    round_trip_seconds: float | None = None


class UsageView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a pod uses."""

    cpu_nano_cores: int | None = None
    memory_working_set_bytes: int | None = None


class PodView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One pod, as ``kubectl get pods`` has it.

    Attributes:
        ready: ``1/2``: containers that are ready, of all that are to be.
        state: The phase, or why it is not what one hopes (``CrashLoopBackOff``).
        healthy: Whether nobody needs to look.
        created: UTC.
    """

    namespace: str
    name: str
    uid: str
    ready: str
    state: str
    healthy: bool
    restarts: int
    created: datetime | None = None
    usage: UsageView = UsageView()


class EventView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One event."""

    last_seen: str
    type: str
    reason: str
    regarding: str
    message: str
    count: int = 1


class CertificateView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One certificate; ``not_after`` is None where there is none yet."""

    name: str
    not_after: datetime | None = None


class SiteView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The whole page.

    Attributes:
        now: When it was made, UTC.
        usage_error: Why no usage is shown, "" where it is.
    """

    site: str
    now: datetime
    version: str
    link: LinkView
    history: tuple[SampleView, ...] = ()
    pods: tuple[PodView, ...] = ()
    usage_error: str = ""
    events: tuple[EventView, ...] = ()
    certificates: tuple[CertificateView, ...] = ()


def pod_views(pods: Iterable[Json], usage: Mapping[str, UsageView]) -> tuple[PodView, ...]:
    """Return what is shown of pods: those in trouble first, then by name; at most MAX_PODS.

    Args:
        pods: The API's objects.
        usage: By UID.
    """
    views = [_pod_view(pod, usage) for pod in pods]
    views.sort(key=lambda view: (view.healthy, view.namespace, view.name))
    return tuple(views[:MAX_PODS])


def _pod_view(pod: Json, usage: Mapping[str, UsageView]) -> PodView:
    metadata, status = pod.get("metadata") or {}, pod.get("status") or {}
    containers = status.get("containerStatuses") or []
    wanted = len((pod.get("spec") or {}).get("containers") or [])
    ready = sum(bool(each.get("ready")) for each in containers)
    state = _state(pod, status, containers)
    uid = str(metadata.get("uid") or "")
    return PodView(
        namespace=str(metadata.get("namespace") or ""),
        name=str(metadata.get("name") or ""),
        uid=uid,
        ready=f"{ready}/{wanted}",
        state=state,
        healthy=state == "Succeeded" or (state == "Running" and ready == wanted),
        restarts=sum(int(each.get("restartCount") or 0) for each in containers),
        created=_moment(metadata.get("creationTimestamp")),
        usage=usage.get(uid, UsageView()),
    )


def _state(pod: Json, status: Json, containers: Iterable[Json]) -> str:
    """Return what to call a pod's state.

    Source: kubernetes pkg/printers/internalversion/printers.go ``printPod``.
    """
    phase = str(status.get("phase") or "Pending")
    if (pod.get("metadata") or {}).get("deletionTimestamp"):
        return "Terminating"
    if status.get("reason"):
        return str(status["reason"])
    if phase in _ENDED:
        return phase
    every = [*(status.get("initContainerStatuses") or []), *containers]
    for each in every:
        waiting = (each.get("state") or {}).get("waiting") or {}
        reason = str(waiting.get("reason") or "")
        if reason and reason != "PodInitializing":
            return reason
    return phase


def _moment(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text)) if text else None
    except ValueError:
        return None
