"""Whose resize comes first, and for whom there is room."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_runtime.admission.admission_rules import AdmissionContext
from edge_runtime.admission.resize import with_resources
from edge_runtime.admission.resize_queue import asks_for_less, rejection_in_turn, resize_order
from edge_runtime.objects.node import Node
from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.pod_resources import parse_resources
from edge_runtime.objects.sysctls import sysctl_allowlist

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json


def asks(**requests: str) -> Json:
    """Resources that are asked for."""
    return {"requests": requests}


def limited(**limits: str) -> Json:
    """Resources that are limits as well, so that a pod of them is Guaranteed."""
    return {"requests": limits, "limits": limits}


def pod(resources: Json, *, name: str = "p", **spec: Any) -> Pod:  # noqa: ANN401  # API JSON
    """A pod of one container."""
    return Pod(
        {
            "metadata": {"name": name, "namespace": "ns", "uid": name},
            "spec": {"containers": [{"name": "c", "resources": resources}], **spec},
        }
    )


def test_order_of_those_that_wait() -> None:
    """Less first, then priority, class, and how long they wait."""
    pods = [
        pod(asks(cpu="2"), name="late"),
        pod(asks(cpu="2"), name="early"),
        pod(limited(cpu="2", memory="1"), name="guaranteed"),
        pod(asks(cpu="2"), name="important", priority=5),
        pod(asks(cpu="1"), name="less"),
        pod(asks(cpu="2"), name="new"),
    ]
    before = {"less": asks(cpu="3"), "guaranteed": limited(cpu="1", memory="1")}
    held = {
        each.uid: with_resources(each, {"c": before.get(each.name, asks(cpu="1"))}) for each in pods
    }
    since = {PodUID("early"): 1.0, PodUID("late"): 2.0}
    order = [each.name for each in resize_order(pods, held, since)]
    assert order == ["less", "important", "guaranteed", "early", "late", "new"]


def beside(*others: Pod) -> AdmissionContext:
    """A machine of two processors with other pods on it."""
    return AdmissionContext(
        node=Node(name="edge", labels={}),
        others=others,
        allocatable=parse_resources({"cpu": "2", "memory": "1Gi", "pods": "10"}),
        sysctls=sysctl_allowlist(kernel_version="6.1", unsafe=()),
    )


def message_in_turn(name: str, **wanted: Pod) -> str | None:
    """Why one of several pods, each with half a processor, may not have what it asks for."""
    pods = {
        PodUID(each.uid): with_resources(each, {"c": asks(cpu="500m")}) for each in wanted.values()
    }
    others = [held for uid, held in pods.items() if uid != name]
    since = dict.fromkeys(pods, 0.0)
    found = rejection_in_turn(wanted[name], wanted.values(), pods, since, beside(*others))
    return None if found is None else found.message


def test_room_goes_to_whoever_comes_first() -> None:
    """There is room for one: the less important of two is told what the other leaves."""
    low, high = pod(asks(cpu="1"), name="low"), pod(asks(cpu="1500m"), name="high", priority=9)
    assert message_in_turn("high", low=low, high=high) is None
    assert message_in_turn("low", low=low) is None
    assert message_in_turn("low", low=low, high=high) == (
        "Node didn't have enough resource: cpu, requested: 1000, used: 1500, capacity: 2000"
    )


def test_one_that_does_not_fit_holds_up_nobody() -> None:
    """What it has stays its own."""
    low, huge = pod(asks(cpu="1"), name="low"), pod(asks(cpu="9"), name="huge", priority=9)
    assert message_in_turn("huge", low=low, huge=huge) == (
        "Node didn't have enough resource: cpu, requested: 9000, used: 500, capacity: 2000"
    )
    assert message_in_turn("low", low=low, huge=huge) is None


def test_less_of_one_resource_is_less() -> None:
    """Although more of the other is asked for."""
    held = pod(asks(cpu="2", memory="1Gi"))
    assert asks_for_less(pod(asks(cpu="1", memory="2Gi")), held)
    assert not asks_for_less(pod(asks(cpu="2000m", memory="2Gi")), held)
