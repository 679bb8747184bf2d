"""Resizing a running pod: what is allocated to it, what its containers have, what to change; pure.

    desired (spec) ── it fits ──> allocated ── applied ──> actuated

Only ``cpu`` and ``memory`` of containers and sidecars change while a pod runs.

Source: kubernetes pkg/kubelet/allocation/allocation_manager.go,
pkg/kubelet/kuberuntime/kuberuntime_manager.go ``computePodResizeAction``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edge_runtime.objects.container import Container, ContainerKind
from edge_runtime.objects.pod import Pod
from edge_runtime.objects.quantity import parse_quantity
from edge_runtime.objects.runtime_status import ContainerState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from fractions import Fraction

    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.runtime_status import PodRuntimeStatus

Json = dict[str, Any]

CPU, MEMORY = "cpu", "memory"
# Stands for the pod's own cgroup where container ids are keys.
POD_CGROUP = ""
_KINDS = ("requests", "limits")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerUpdate:
    """One running container that does not have what is allocated to it.

    Attributes:
        desired: The container with what is allocated.
        current: The container with what it has.
        needs_restart: Its resizePolicy says that it cannot take the change while it runs.
    """

    id: ContainerID
    desired: Container
    current: Container
    needs_restart: bool

    def changes(self, resource: str) -> bool:
        """Tell whether request or limit of a resource differ."""
        return any(
            _of(self.desired, kind, resource) != _of(self.current, kind, resource)
            for kind in _KINDS
        )

    def grows(self, resource: str) -> bool:
        """Tell whether it gets more; where the limit stays, the request decides."""
        before = _size(self.current, resource)
        after = _size(self.desired, resource)
        if before[0] == after[0]:
            return after[1] > before[1]
        # No limit is more than any limit.
        return after[0] == 0 or (before[0] != 0 and after[0] > before[0])


def resizable_resources(pod: Pod) -> dict[str, Json]:
    """Return ``resources`` of each container that can be resized, by name."""
    return {
        each.name: dict(each.raw.get("resources") or {})
        for each in (*pod.containers, *pod.sidecars)
    }


def with_resources(pod: Pod, resources: Mapping[str, Json]) -> Pod:
    """Return the pod with other resources of these containers; the same one if none differ."""
    if all(resources.get(name, own) == own for name, own in resizable_resources(pod).items()):
        return pod
    spec = {
        **pod.spec,
        **{
            kind.value: [
                {**raw, "resources": resources[raw["name"]]} if raw["name"] in resources else raw
                for raw in pod.spec.get(kind.value) or ()
            ]
            for kind in (ContainerKind.INIT, ContainerKind.REGULAR)
            if pod.spec.get(kind.value)
        },
    }
    return Pod({**pod.raw, "spec": spec})


def same_resources(first: Mapping[str, Json], second: Mapping[str, Json]) -> bool:
    """Tell whether two sets of resources ask for the same, however it is written."""
    return first.keys() == second.keys() and all(
        _quantities(first[name]) == _quantities(second[name]) for name in first
    )


def running_resources(
    status: PodRuntimeStatus, before: Mapping[str, Json], actuated: Mapping[str, Json]
) -> dict[str, Json]:
    """Return what each running container has, by id, when an allocation is about to change.

    Args:
        status: What the runtime has of the pod.
        before: What was allocated until now, by name.
        actuated: What containers were known to have otherwise, by id.
    """
    return {
        each.id: actuated.get(each.id, before[each.name])
        for each in status.containers
        if each.state is ContainerState.RUNNING and each.name in before
    }


def container_updates(
    pod: Pod, actuated: Mapping[str, Json], status: PodRuntimeStatus
) -> tuple[ContainerUpdate, ...]:
    """Return the running containers that do not have what is allocated, in spec order.

    Args:
        pod: The pod with what is allocated.
        actuated: What containers have that is not what is allocated, by id.
        status: What the runtime has of it.
    """
    found = []
    for desired in (*pod.sidecars, *pod.containers):
        latest = status.latest(desired.name)
        if latest is None or latest.state is not ContainerState.RUNNING:
            continue  # it gets the right size when it starts
        if latest.id not in actuated:
            continue
        current = replace(desired, raw={**desired.raw, "resources": actuated[latest.id]})
        update = ContainerUpdate(
            id=latest.id, desired=desired, current=current, needs_restart=False
        )
        changed = [each for each in (CPU, MEMORY) if update.changes(each)]
        if changed:
            restart = any(_restarts(desired, each) for each in changed)
            found.append(replace(update, needs_restart=restart))
    return tuple(found)


def with_current(pod: Pod, updates: Iterable[ContainerUpdate], resource: str | None = None) -> Pod:
    """Return the pod with what these containers have; of one resource only, if one is named."""
    return with_resources(
        pod,
        {
            each.desired.name: mixed_resources(each.desired, each.current, resource)
            for each in updates
        },
    )


def mixed_resources(base: Container, other: Container, resource: str | None) -> Json:
    """Return the resources of one container with those of another for one resource, or for all."""
    names = (CPU, MEMORY) if resource is None else (resource,)
    mixed: Json = dict(base.raw.get("resources") or {})
    for kind in _KINDS:
        values = dict(mixed.get(kind) or {})
        others = (other.raw.get("resources") or {}).get(kind) or {}
        for name in names:
            values.pop(name, None)
            if name in others:
                values[name] = others[name]
        mixed[kind] = values
    return mixed


def resize_message(pod: Pod, words: str, *, generation: int, error: str = "") -> str:
    """Say in an event what a pod is resized to.

    Source: kubernetes pkg/kubelet/events/resize.go ``podResizeMessage``.
    """
    summary: Json = {}
    for name, containers in (
        ("initContainers", pod.init_containers),
        ("containers", pod.containers),
    ):
        if containers:
            summary[name] = [
                {"name": each.name, "resources": _in_order(each)} for each in containers
            ]
    summary["generation"] = generation
    if error:
        summary["error"] = error
    return f"{words}: {json.dumps(summary, separators=(',', ':'))}"


def _in_order(container: Container) -> Json:
    # As Go writes them: limits first, names sorted.
    kinds = {"limits": container.limits, "requests": container.requests}
    return {kind: dict(sorted(values.items())) for kind, values in kinds.items() if values}


def _restarts(container: Container, resource: str) -> bool:
    return any(
        each.get("resourceName") == resource and each.get("restartPolicy") == "RestartContainer"
        for each in container.raw.get("resizePolicy") or ()
    )


def _size(container: Container, resource: str) -> tuple[Fraction, Fraction]:
    return _of(container, "limits", resource), _of(container, "requests", resource)


def _of(container: Container, kind: str, resource: str) -> Fraction:
    quantities = container.limits if kind == "limits" else container.requests
    return parse_quantity(quantities.get(resource, "0"))


def _quantities(resources: Json) -> dict[tuple[str, str], Fraction]:
    return {
        (kind, name): parse_quantity(str(value))
        for kind in _KINDS
        for name, value in (resources.get(kind) or {}).items()
    }
