"""What is allocated, what containers have, and what is to change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.admission.resize import (
    ContainerUpdate,
    container_updates,
    mixed_resources,
    resizable_resources,
    resize_message,
    running_resources,
    same_resources,
    with_current,
    with_resources,
)
from edge_runtime.objects.container import Container, ContainerID
from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.runtime_status import ContainerState, PodRuntimeStatus
from tests.fakes.runtime_values import container as attempt

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json
    from edge_runtime.objects.runtime_status import ContainerStatus


def asks(**requests: str) -> Json:
    """Resources that are asked for."""
    return {"requests": requests}


def limited(**limits: str) -> Json:
    """Resources that are limits as well, so that a pod of them is Guaranteed."""
    return {"requests": limits, "limits": limits}


def pod(resources: Json, *, name: str = "p", **fields: Any) -> Pod:  # noqa: ANN401  # API JSON
    """A pod of one container."""
    container = {"name": "c", "resources": resources, **fields.pop("container", {})}
    return Pod(
        {
            "metadata": {"name": name, "namespace": "ns", "uid": name, "generation": 2},
            "spec": {"containers": [container], **fields},
        }
    )


def status(*containers: ContainerStatus) -> PodRuntimeStatus:
    """What the runtime has."""
    return PodRuntimeStatus(uid=PodUID("p"), sandboxes=(), containers=containers)


def update(before: Json, after: Json) -> ContainerUpdate:
    """A container that is to change."""
    return ContainerUpdate(
        id=ContainerID("c0"),
        desired=Container({"name": "c", "resources": after}),
        current=Container({"name": "c", "resources": before}),
        needs_restart=False,
    )


INITS = [
    {"name": "once", "resources": asks(cpu="1")},
    {"name": "side", "restartPolicy": "Always", "resources": asks(cpu="2")},
]


def test_containers_and_sidecars_can_be_resized() -> None:
    """What runs once cannot."""
    found = resizable_resources(pod(asks(cpu="3"), initContainers=INITS))
    assert found == {"c": asks(cpu="3"), "side": asks(cpu="2")}


def test_pod_with_what_is_allocated() -> None:
    """Only the named containers change, and a pod that has it is the same object."""
    wanted = pod(asks(cpu="3"), initContainers=INITS)
    held = with_resources(wanted, {"c": asks(cpu="1"), "side": asks(cpu="4"), "gone": asks()})
    assert resizable_resources(held) == {"c": asks(cpu="1"), "side": asks(cpu="4")}
    assert held.init_containers[0].requests == {"cpu": "1"}
    assert wanted.containers[0].requests == {"cpu": "3"}
    assert with_resources(wanted, {"c": asks(cpu="3")}) is wanted


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ({}, {}, True),
        ({"c": asks(cpu="1")}, {"c": asks(cpu="1000m")}, True),
        ({"c": asks(memory="1Gi")}, {"c": asks(memory="1024Mi")}, True),
        ({"c": {}}, {"c": {"requests": {}, "limits": {}}}, True),
        ({"c": asks(cpu="1")}, {"c": asks(cpu="2")}, False),
        ({"c": asks(cpu="1")}, {"c": limited(cpu="1")}, False),
        ({"c": {}}, {"d": {}}, False),
    ],
)
def test_same_however_it_is_written(
    first: dict[str, Json], second: dict[str, Json], expected: bool
) -> None:
    """Or each defaulting of the API server would be a resize."""
    assert same_resources(first, second) is expected


def test_what_runs_has_what_was_allocated() -> None:
    """Unless it is known to have something else; what ended has nothing."""
    found = running_resources(
        status(
            attempt("new", name="a"),
            attempt("lagging", name="b"),
            attempt("ended", name="a", state=ContainerState.EXITED),
            attempt("unknown", name="x"),
        ),
        {"a": asks(cpu="1"), "b": asks(cpu="1")},
        {"lagging": asks(cpu="5")},
    )
    assert found == {"new": asks(cpu="1"), "lagging": asks(cpu="5")}


@pytest.mark.parametrize(
    ("before", "after", "changes", "grows"),
    [
        (asks(cpu="1"), asks(cpu="2"), True, True),
        (asks(cpu="2"), asks(cpu="1"), True, False),
        (asks(cpu="1"), asks(cpu="1000m"), False, False),
        (limited(cpu="1"), limited(cpu="2"), True, True),
        (limited(cpu="2"), limited(cpu="1"), True, False),
        # No limit is more than any limit.
        (limited(cpu="2"), asks(cpu="2"), True, True),
        (asks(cpu="2"), limited(cpu="2"), True, False),
        # Memory is another matter.
        (asks(cpu="1"), asks(cpu="1", memory="1"), False, False),
    ],
)
def test_change_of_a_container(before: Json, after: Json, changes: bool, grows: bool) -> None:
    """More is given before less is taken, so it must be known which it is."""
    found = update(before, after)
    assert found.changes("cpu") is changes
    assert found.grows("cpu") is grows


@pytest.mark.parametrize(
    ("containers", "actuated", "expected"),
    [
        ([attempt()], {"c0": asks(cpu="1")}, ["c0"]),
        ([attempt()], {"c0": asks(cpu="2000m")}, []),
        ([attempt()], {}, []),
        ([attempt()], {"before": asks(cpu="1")}, []),
        ([attempt(state=ContainerState.EXITED)], {"c0": asks(cpu="1")}, []),
        ([attempt(state=ContainerState.CREATED)], {"c0": asks(cpu="1")}, []),
        ([], {"c0": asks(cpu="1")}, []),
    ],
)
def test_who_is_updated(
    containers: list[ContainerStatus], actuated: dict[str, Json], expected: list[str]
) -> None:
    """What runs and is known to have something else; others get it when they start."""
    found = container_updates(pod(asks(cpu="2")), actuated, status(*containers))
    assert [each.id for each in found] == expected


@pytest.mark.parametrize(
    ("policy", "before", "restarts"),
    [
        ([], asks(cpu="1", memory="1"), False),
        (["cpu"], asks(cpu="1", memory="2"), True),
        (["memory"], asks(cpu="1", memory="2"), False),
        (["memory"], asks(cpu="2", memory="1"), True),
    ],
)
def test_container_that_cannot_take_it_while_it_runs(
    policy: list[str], before: Json, restarts: bool
) -> None:
    """Only for the resource that changes."""
    policies = [{"resourceName": each, "restartPolicy": "RestartContainer"} for each in policy]
    wanted = pod(asks(cpu="2", memory="2"), container={"resizePolicy": policies})
    (found,) = container_updates(wanted, {"c0": before}, status(attempt()))
    assert found.needs_restart is restarts


def test_pod_between_two_sizes() -> None:
    """One resource at a time, so that a pod's cgroup fits its containers in between."""
    wanted = pod(limited(cpu="2", memory="2"))
    updates = container_updates(wanted, {"c0": asks(cpu="1")}, status(attempt()))
    half = with_current(wanted, updates, "cpu").containers[0]
    assert (half.requests, half.limits) == ({"cpu": "1", "memory": "2"}, {"memory": "2"})
    old = with_current(wanted, updates).containers[0]
    assert (old.requests, old.limits) == ({"cpu": "1"}, {})


def test_mixed_resources_keep_what_cannot_be_resized() -> None:
    """Of the container that is wanted."""
    base = Container({"name": "c", "resources": asks(**{"cpu": "1", "ephemeral-storage": "5"})})
    other = Container({"name": "c", "resources": asks(cpu="2")})
    mixed = mixed_resources(base, other, None)
    assert mixed == {"requests": {"ephemeral-storage": "5", "cpu": "2"}, "limits": {}}


def test_message_is_a_kubelets() -> None:
    """Limits before requests, names in order, no empty lists."""
    wanted = pod({"requests": {"memory": "1Gi", "cpu": "1"}, "limits": {"cpu": "2"}})
    message = resize_message(wanted, "Pod resize started", generation=3)
    assert message == (
        'Pod resize started: {"containers":[{"name":"c","resources":'
        '{"limits":{"cpu":"2"},"requests":{"cpu":"1","memory":"1Gi"}}}],"generation":3}'
    )
    message = resize_message(pod({}), "Pod resize error", generation=1, error="no")
    assert message == (
        'Pod resize error: {"containers":[{"name":"c","resources":{}}],"generation":1,"error":"no"}'
    )
