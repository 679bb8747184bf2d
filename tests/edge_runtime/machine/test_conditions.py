"""Node conditions."""

from __future__ import annotations

import pytest

from edge_runtime.machine.conditions import node_conditions, runtime_problems
from edge_runtime.objects.runtime_info import RuntimeCondition, RuntimeStatus

READY = RuntimeCondition(type="RuntimeReady", status=True)
NETWORK = RuntimeCondition(type="NetworkReady", status=True)


@pytest.mark.parametrize(
    ("status", "seen_ago_s", "problems"),
    [
        (RuntimeStatus(conditions=(READY, NETWORK)), 0, []),
        (None, None, ["container runtime status check may not have completed yet"]),
        (RuntimeStatus(conditions=(READY, NETWORK)), 29.9, []),
        (RuntimeStatus(conditions=(READY, NETWORK)), 30, ["container runtime is down"]),
        (
            RuntimeStatus(
                conditions=(
                    READY,
                    RuntimeCondition(
                        type="NetworkReady", status=False, reason="NoPlugin", message="no cni"
                    ),
                )
            ),
            0,
            [
                "container runtime network not ready: "
                "NetworkReady=false reason:NoPlugin message:no cni"
            ],
        ),
        (
            RuntimeStatus(conditions=(NETWORK,)),
            0,
            ["container runtime not ready: <nil>"],
        ),
    ],
)
def test_why_the_node_is_not_ready(
    status: RuntimeStatus | None, seen_ago_s: float | None, problems: list[str]
) -> None:
    """In the kubelet's words."""
    assert runtime_problems(status, seen_ago_s=seen_ago_s) == problems


def test_ready_comes_last() -> None:
    """Order, reasons and messages of a healthy node."""
    found = node_conditions((), problems=[])
    assert [(each["type"], each["status"], each["reason"]) for each in found] == [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID"),
        ("Ready", "True", "KubeletReady"),
    ]
    assert found[-1]["message"] == "kubelet is posting ready status"


def test_a_node_in_trouble() -> None:
    """Several problems are one message, each of them once."""
    found = node_conditions(
        ("DiskPressure", "MemoryPressure", "PIDPressure"), problems=["a", "b", "a"]
    )
    assert [(each["status"], each["reason"]) for each in found] == [
        ("True", "KubeletHasInsufficientMemory"),
        ("True", "KubeletHasDiskPressure"),
        ("True", "KubeletHasInsufficientPID"),
        ("False", "KubeletNotReady"),
    ]
    assert found[-1]["message"] == "[a, b]"
    single = node_conditions((), problems=["a"])
    assert single[-1]["message"] == "a"
