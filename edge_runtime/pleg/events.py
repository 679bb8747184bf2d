"""From two looks at the runtime to what happened in between; pure.

Source: kubernetes pkg/kubelet/pleg/generic.go ``generateEvents``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.objects.runtime_status import ContainerState, PodListing, SandboxState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_runtime.objects.pod import PodUID
    from edge_runtime.objects.runtime_status import (
        PodRuntimeStatus,
        RuntimeContainer,
        RuntimeSandbox,
    )


class PodLifecycleEventType(enum.Enum):
    """What happened to one container or sandbox."""

    STARTED = "started"
    DIED = "died"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodLifecycleEvent:
    """One change; ``id`` is a container's or a sandbox's."""

    uid: PodUID
    type: PodLifecycleEventType
    id: str


def record_of(status: PodRuntimeStatus) -> dict[str, ContainerState | SandboxState]:
    """Reduce a pod's status to the states that events are about."""
    record: dict[str, ContainerState | SandboxState] = {
        sandbox.id: sandbox.state for sandbox in status.sandboxes
    }
    return record | {container.id: container.state for container in status.containers}


def records_of(
    sandboxes: Iterable[RuntimeSandbox], containers: Iterable[RuntimeContainer]
) -> dict[PodUID, dict[str, ContainerState | SandboxState]]:
    """Group a look at the whole runtime by pod; what no kubelet made is left out."""
    records: dict[PodUID, dict[str, ContainerState | SandboxState]] = {}
    for sandbox in sandboxes:
        if sandbox.pod_uid:
            records.setdefault(sandbox.pod_uid, {})[sandbox.id] = sandbox.state
    for container in containers:
        if container.pod_uid:
            records.setdefault(container.pod_uid, {})[container.id] = container.state
    return records


def listings_of(
    sandboxes: Iterable[RuntimeSandbox],
    containers: Iterable[RuntimeContainer],
    *,
    uids: Iterable[PodUID],
) -> dict[PodUID, PodListing]:
    """Group a look at the whole runtime by pod, for these pods; empty where it has nothing."""
    found: dict[PodUID, tuple[list[RuntimeSandbox], list[RuntimeContainer]]] = {
        uid: ([], []) for uid in uids
    }
    for sandbox in sandboxes:
        if sandbox.pod_uid in found:
            found[sandbox.pod_uid][0].append(sandbox)
    for container in containers:
        if container.pod_uid in found:
            found[container.pod_uid][1].append(container)
    return {
        uid: PodListing(sandboxes=tuple(some), containers=tuple(others))
        for uid, (some, others) in found.items()
    }


def compute_events(
    uid: PodUID,
    *,
    old: Mapping[str, ContainerState | SandboxState],
    new: Mapping[str, ContainerState | SandboxState],
) -> tuple[PodLifecycleEvent, ...]:
    """Say what happened to one pod between two looks, in the order of the ids."""
    events = []
    for each in sorted({*old, *new}):
        happened = _compare(old.get(each), new.get(each))
        if happened is not None:
            events.append(PodLifecycleEvent(uid=uid, type=happened, id=each))
    return tuple(events)


def _compare(
    old: ContainerState | SandboxState | None, new: ContainerState | SandboxState | None
) -> PodLifecycleEventType | None:
    if old is new:
        return None
    match new:
        case None:
            return PodLifecycleEventType.REMOVED
        case ContainerState.RUNNING | SandboxState.READY:
            return PodLifecycleEventType.STARTED
        case ContainerState.EXITED | SandboxState.NOT_READY:
            return PodLifecycleEventType.DIED
        case _:
            return PodLifecycleEventType.CHANGED
