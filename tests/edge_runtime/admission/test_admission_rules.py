"""What stands against a new pod, in a kubelet's words and order."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from edge_runtime.admission.admission_rules import (
    AdmissionContext,
    Rejection,
    rejection_of,
    resize_rejection,
)
from edge_runtime.admission.node_fit import Misfit
from edge_runtime.objects.node import Node, Taint
from edge_runtime.objects.pod import Pod
from edge_runtime.objects.pod_resources import parse_resources
from edge_runtime.objects.sysctls import sysctl_allowlist

CONTEXT = AdmissionContext(
    node=Node(name="edge", labels={"zone": "a"}),
    others=(),
    allocatable=parse_resources({"cpu": "2", "memory": "1Gi", "pods": "2"}),
    sysctls=sysctl_allowlist(kernel_version="6.1", unsafe=()),
)
CRITICAL: dict[str, Any] = {"priority": 2_000_000_000}
STRICT: dict[str, Any] = {"securityContext": {"supplementalGroupsPolicy": "Strict"}}
CONFINED = {"appArmorProfile": {"type": "RuntimeDefault"}}
TOLERATES_MEMORY: dict[str, Any] = {
    "tolerations": [{"key": "node.kubernetes.io/memory-pressure", "operator": "Exists"}]
}


def pod(
    *,
    cpu: str = "",
    metadata: dict[str, Any] | None = None,
    **spec: Any,  # noqa: ANN401  # JSON
) -> Pod:
    """A pod of one container, BestEffort unless it asks for processors."""
    resources = {"requests": {"cpu": cpu}} if cpu else {}
    return Pod(
        {
            "metadata": {"name": "p", "namespace": "ns", "uid": "p", **(metadata or {})},
            "spec": {"containers": [{"name": "c", "resources": resources}], **spec},
        }
    )


def reason(wanted: Pod, **context: Any) -> str | None:  # noqa: ANN401  # fields of the context
    """Why a pod is rejected."""
    rejection = rejection_of(wanted, dataclasses.replace(CONTEXT, **context))
    return rejection.reason if rejection is not None else None


@pytest.mark.parametrize(
    ("wanted", "pressures", "expected"),
    [
        (pod(), (), None),
        (pod(cpu="1"), ("DiskPressure",), "Evicted"),
        (pod(**CRITICAL), ("DiskPressure", "MemoryPressure"), None),
        # Only memory is short: a pod that asks for something may come.
        (pod(cpu="1"), ("MemoryPressure",), None),
        (pod(), ("MemoryPressure",), "Evicted"),
        (pod(**TOLERATES_MEMORY), ("MemoryPressure",), None),
        (pod(cpu="1"), ("MemoryPressure", "PIDPressure"), "Evicted"),
        (pod(**TOLERATES_MEMORY), ("DiskPressure",), "Evicted"),
    ],
)
def test_pressure_keeps_pods_away(
    wanted: Pod, pressures: tuple[str, ...], expected: str | None
) -> None:
    """Not those that the machine needs."""
    assert reason(wanted, pressures=pressures) == expected


@pytest.mark.parametrize(
    ("wanted", "expected", "message"),
    [
        (
            pod(securityContext={"sysctls": [{"name": "vm.swappiness", "value": "1"}]}),
            "SysctlForbidden",
            'forbidden sysctl: "vm.swappiness" not allowlisted',
        ),
        (
            pod(metadata={"labels": {"kubernetes.io/os": "windows"}}),
            "PodOSSelectorNodeLabelDoesNotMatch",
            "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label",
        ),
        (
            pod(os={"name": "windows"}),
            "PodOSNotSupported",
            "Failed to admit pod as the OS field doesn't match node OS",
        ),
        (
            pod(**STRICT),
            "SupplementalGroupsPolicyNotSupported",
            "SupplementalGroupsPolicy=Strict is not supported in this node",
        ),
        (
            pod(cpu="3"),
            "OutOfcpu",
            "Node didn't have enough resource: cpu, requested: 3000, used: 0, capacity: 2000",
        ),
        (
            pod(nodeSelector={"zone": "b"}),
            "NodeAffinity",
            "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector",
        ),
        (pod(os={"name": "linux"}), None, None),
        (pod(metadata={"labels": {"kubernetes.io/os": "linux"}}), None, None),
        (pod(nodeSelector={"zone": "a"}), None, None),
    ],
)
def test_rejections(wanted: Pod, expected: str | None, message: str | None) -> None:
    """``status.reason`` and what follows in ``status.message``."""
    rejection = rejection_of(wanted, CONTEXT)
    assert (rejection.reason if rejection else None) == expected
    assert (rejection.message if rejection else None) == message
    # A resize is asked the same.
    assert resize_rejection(wanted, CONTEXT) == rejection


def test_pressure_is_told_with_its_condition() -> None:
    """All of those that are true, with the space at the end."""
    context = dataclasses.replace(CONTEXT, pressures=("DiskPressure", "PIDPressure"))
    rejection = rejection_of(pod(), context)
    assert rejection is not None
    assert rejection.message == "The node had condition: [DiskPressure PIDPressure]. "


def test_strict_groups_are_honoured_by_runtimes_that_can() -> None:
    """The runtime tells."""
    assert reason(pod(**STRICT), supplemental_groups_policy=True) is None


@pytest.mark.parametrize(
    ("wanted", "needs"),
    [
        (pod(), False),
        (pod(securityContext=CONFINED), True),
        (pod(securityContext={"appArmorProfile": {"type": "Unconfined"}}), False),
        (pod(containers=[{"name": "c", "securityContext": CONFINED}]), True),
        (pod(initContainers=[{"name": "i", "securityContext": CONFINED}]), True),
        (
            pod(
                metadata={
                    "annotations": {
                        "container.apparmor.security.beta.kubernetes.io/c": "localhost/x"
                    }
                }
            ),
            True,
        ),
        (
            pod(
                metadata={
                    "annotations": {
                        "container.apparmor.security.beta.kubernetes.io/c": "unconfined"
                    }
                }
            ),
            False,
        ),
    ],
)
def test_apparmor_is_asked_of_pods_that_need_it(wanted: Pod, needs: bool) -> None:
    """A machine that cannot confine must not run them; one that can does; a resize is not asked."""
    problem = "AppArmor is not enabled on the host"
    context = dataclasses.replace(CONTEXT, apparmor_problem=problem)
    rejection = rejection_of(wanted, context)
    assert (rejection is not None) is needs
    if rejection is not None:
        assert rejection.reason == "AppArmor"
        assert rejection.message == f"Cannot enforce AppArmor: {problem}"
    assert rejection_of(wanted, CONTEXT) is None
    assert resize_rejection(wanted, context) is None


def test_first_question_is_answered_first() -> None:
    """Pressure before sysctls before the OS before room."""
    wrong: dict[str, Any] = {
        "securityContext": {
            "sysctls": [{"name": "vm.swappiness", "value": "1"}],
            "supplementalGroupsPolicy": "Strict",
        },
        "os": {"name": "windows"},
        "nodeSelector": {"zone": "b"},
    }
    assert reason(pod(**wrong), pressures=("DiskPressure",)) == "Evicted"
    assert reason(pod(**wrong)) == "SysctlForbidden"
    wrong["securityContext"].pop("sysctls")
    assert reason(pod(**wrong)) == "PodOSNotSupported"
    wrong.pop("os")
    assert reason(pod(**wrong)) == "SupplementalGroupsPolicyNotSupported"
    wrong.pop("securityContext")
    assert reason(pod(cpu="3", **wrong)) == "OutOfcpu"
    assert reason(pod(**wrong)) == "NodeAffinity"


def test_room_for_a_critical_pod_can_be_made() -> None:
    """So it is rejected for what cannot be changed, and lacks only where nothing else is wrong."""
    taints = (Taint(key="k", effect="NoExecute"),)
    node = dataclasses.replace(CONTEXT.node, taints=taints)
    assert reason(pod(cpu="3", **CRITICAL), node=node) == "TaintToleration"
    assert reason(pod(cpu="3"), node=node) == "OutOfcpu"
    rejection = rejection_of(pod(cpu="3", **CRITICAL), CONTEXT)
    assert rejection is not None
    assert rejection.lacking == {"cpu": 1000}


AFFINITY = Misfit(reason="NodeAffinity", message="m")
NO_CPU = Misfit(reason="OutOfcpu", message="m", resource="cpu", lacking=5)


@pytest.mark.parametrize(
    ("found", "may_be_outdated", "lacking"),
    [
        ((), False, {}),
        ((AFFINITY,), True, {}),
        ((NO_CPU,), False, {"cpu": 5}),
        ((NO_CPU, AFFINITY), False, {}),
    ],
)
def test_what_can_be_done_about_a_rejection(
    found: tuple[Misfit, ...], may_be_outdated: bool, lacking: dict[str, int]
) -> None:
    """Newer labels may be on their way; others may make room."""
    rejection = Rejection(reason="r", message="m", misfits=found)
    assert rejection.may_be_outdated is may_be_outdated
    assert rejection.lacking == lacking
