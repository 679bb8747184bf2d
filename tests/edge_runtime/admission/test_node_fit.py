"""Whether a pod fits beside the others, in a kubelet's words and order."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from edge_runtime.admission.node_fit import is_critical, misfits
from edge_runtime.objects.node import Node, Taint
from edge_runtime.objects.pod import Pod
from edge_runtime.objects.pod_resources import parse_resources

NODE = Node(name="edge", labels={"zone": "a"})
ALLOCATABLE = parse_resources(
    {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "10Gi", "pods": "3", "example.com/gpu": "1"}
)


def container(**requests: str) -> dict[str, Any]:
    """A container that asks for something; ``_`` in names stands for ``-``."""
    named = {name.replace("_", "-"): value for name, value in requests.items()}
    return {"name": "c", "resources": {"requests": named}}


def pod(uid: str = "p", *containers: dict[str, Any], **spec: Any) -> Pod:  # noqa: ANN401  # JSON
    """A pod of these containers."""
    return Pod(
        {
            "metadata": {"name": uid, "namespace": "ns", "uid": uid},
            "spec": {"containers": list(containers), **spec},
        }
    )


def first(wanted: Pod, *others: Pod, node: Node = NODE) -> tuple[str, str] | None:
    """Reason and message of what stands against a pod first."""
    found = misfits(wanted, others, node=node, allocatable=ALLOCATABLE)
    return (found[0].reason, found[0].message) if found else None


@pytest.mark.parametrize(
    ("wanted", "others", "expected"),
    [
        (container(cpu="2"), (), None),
        (
            container(cpu="1500m"),
            (container(cpu="501m"),),
            (
                "OutOfcpu",
                "Node didn't have enough resource: cpu, requested: 1500, used: 501, capacity: 2000",
            ),
        ),
        (
            container(memory="1Gi"),
            (container(memory="1"),),
            (
                "OutOfmemory",
                "Node didn't have enough resource: memory, requested: 1073741824, used: 1,"
                " capacity: 1073741824",
            ),
        ),
        (
            container(ephemeral_storage="11Gi"),
            (),
            (
                "OutOfephemeral-storage",
                "Node didn't have enough resource: ephemeral-storage, requested: 11811160064,"
                " used: 0, capacity: 10737418240",
            ),
        ),
        (
            container(),
            (container(), container(), container()),
            (
                "OutOfpods",
                "Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3",
            ),
        ),
    ],
)
def test_resources(
    wanted: dict[str, Any],
    others: tuple[dict[str, Any], ...],
    expected: tuple[str, str] | None,
) -> None:
    """What is asked for, what is used and what there is, in the units of the scheduler."""
    held = [pod(f"other-{index}", each) for index, each in enumerate(others)]
    assert first(pod("p", wanted), *held) == expected


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("example.com/gpu", "1", None),
        ("example.com/gpu", "2", "OutOfexample.com/gpu"),
        ("example.com/unknown", "1", None),  # somewhere in the cluster, not here
        ("hugepages-2Mi", "2Mi", "OutOfhugepages-2Mi"),
        ("cpu", "0", None),
    ],
)
def test_other_resources(name: str, value: str, reason: str | None) -> None:
    """Extended resources count where the machine has them; huge pages always."""
    wanted = {"name": "c", "resources": {"requests": {name: value}}}
    found = first(pod("p", wanted))
    assert (found[0] if found else None) == reason


def test_a_pod_that_asks_for_nothing_fits_a_full_machine() -> None:
    """As long as there is a place for one more."""
    full = pod("full", container(cpu="2", memory="1Gi"))
    assert first(pod("p", container()), full) is None


@pytest.mark.parametrize(
    ("wanted", "used", "conflicts"),
    [
        ({"hostPort": 80}, {"hostPort": 80}, True),
        ({"hostPort": 80, "protocol": "UDP"}, {"hostPort": 80}, False),
        ({"hostPort": 80, "hostIP": "10.0.0.1"}, {"hostPort": 80}, True),
        ({"hostPort": 80}, {"hostPort": 80, "hostIP": "10.0.0.1"}, True),
        (
            {"hostPort": 80, "hostIP": "10.0.0.1"},
            {"hostPort": 80, "hostIP": "10.0.0.2"},
            False,
        ),
        ({"hostPort": 80}, {"hostPort": 81}, False),
        ({"containerPort": 80}, {"containerPort": 80}, False),
        ({"hostPort": 0}, {"hostPort": 0}, False),
    ],
)
def test_host_ports(wanted: dict[str, Any], used: dict[str, Any], conflicts: bool) -> None:
    """One port of one address is one pod's; no address is every address."""
    found = first(
        pod("p", {"name": "c", "ports": [wanted]}), pod("other", {"name": "c", "ports": [used]})
    )
    text = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    assert found == (("NodePorts", text) if conflicts else None)


def test_init_containers_take_ports_only_while_the_pod_runs() -> None:
    """A sidecar does, one that ends does not."""
    ports = [{"hostPort": 80}]
    other = pod("other", {"name": "c", "ports": ports})
    init = {"name": "i", "ports": ports}
    assert first(pod("p", container(), initContainers=[init]), other) is None
    sidecar = {**init, "restartPolicy": "Always"}
    found = first(pod("p", container(), initContainers=[sidecar]), other)
    assert found is not None
    assert found[0] == "NodePorts"


def test_affinity_name_and_taints() -> None:
    """Each with the predicate that failed."""
    tainted = Node(name="edge", taints=(Taint(key="k", effect="NoExecute"),))
    assert first(pod("p", nodeSelector={"zone": "b"})) == (
        "NodeAffinity",
        "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
    )
    assert first(pod("p", nodeName="other")) == (
        "NodeName",
        "Predicate NodeName failed: node(s) didn't match the requested node name",
    )
    assert first(pod("p"), node=tainted) == (
        "TaintToleration",
        "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate",
    )


def test_all_reasons_in_the_order_of_a_kubelet() -> None:
    """The first one is shown, but whoever makes room needs them all."""
    wanted = pod(
        "p", container(cpu="3", memory="2Gi"), nodeSelector={"zone": "b"}, nodeName="other"
    )
    found = misfits(wanted, (), node=NODE, allocatable=ALLOCATABLE)
    assert [(each.reason, each.lacking) for each in found] == [
        ("OutOfcpu", 1000),
        ("OutOfmemory", 1 << 30),
        ("NodeAffinity", 0),
        ("NodeName", 0),
    ]


@pytest.mark.parametrize(
    ("annotations", "spec", "expected"),
    [
        ({}, {}, False),
        ({}, {"priority": 1_999_999_999}, False),
        ({}, {"priority": 2_000_000_000}, True),
        ({"kubernetes.io/config.mirror": "x"}, {}, True),
        ({"kubernetes.io/config.source": "file"}, {}, True),
        ({"kubernetes.io/config.source": "api"}, {}, False),
    ],
)
def test_critical_pods(annotations: dict[str, str], spec: dict[str, Any], expected: bool) -> None:
    """By priority, and those of the machine itself."""
    assert is_critical(Pod({"metadata": {"annotations": annotations}, "spec": spec})) is expected


def test_quantities_are_rounded_up() -> None:
    """Half a thousandth of a processor counts as one."""
    allocatable = {"cpu": Fraction(1, 1000), "pods": Fraction(9)}
    wanted = pod("p", container(cpu="500u"))
    assert not misfits(wanted, (), node=NODE, allocatable=allocatable)
    assert misfits(wanted, (wanted,), node=NODE, allocatable=allocatable)
