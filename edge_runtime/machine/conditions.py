"""Node conditions from the pressures that eviction sees and from the runtime's state; pure.

Source: kubernetes pkg/kubelet/nodestatus/setters.go, pkg/kubelet/runtime.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edge_runtime.objects.runtime_info import RuntimeCondition, RuntimeStatus

Json = dict[str, Any]

# Source: kubernetes pkg/kubelet/kubelet.go ``maxWaitForContainerRuntime``.
RUNTIME_SYNC_THRESHOLD_S = 30.0


def runtime_problems(status: RuntimeStatus | None, *, seen_ago_s: float | None) -> list[str]:
    """Return why the node is not ready, as a kubelet says it; empty when it is.

    Args:
        status: The runtime's last answer, None before the first.
        seen_ago_s: Seconds since the runtime was last ready, None when it never was.
    """
    problems: list[str] = []
    if seen_ago_s is None:
        problems.append("container runtime status check may not have completed yet")
    elif seen_ago_s >= RUNTIME_SYNC_THRESHOLD_S:
        problems.append("container runtime is down")
    if status is None:
        return problems
    for condition_type, name in (
        ("RuntimeReady", "container runtime not ready"),
        ("NetworkReady", "container runtime network not ready"),
    ):
        condition = status.condition(condition_type)
        if condition is None or not condition.status:
            problems.append(f"{name}: {_describe(condition)}")
    return problems


def node_conditions(pressures: Collection[str], *, problems: Sequence[str]) -> list[Json]:
    """Return the Node's conditions in the kubelet's order, Ready last, without times.

    Args:
        pressures: Types of the pressure conditions that are true.
        problems: Why the node is not ready, empty when it is.
    """
    return [
        _condition(
            "MemoryPressure",
            "MemoryPressure" in pressures,
            ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
            ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ),
        _condition(
            "DiskPressure",
            "DiskPressure" in pressures,
            ("KubeletHasDiskPressure", "kubelet has disk pressure"),
            ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ),
        _condition(
            "PIDPressure",
            "PIDPressure" in pressures,
            ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
            ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ),
        _condition(
            "Ready",
            not problems,
            ("KubeletReady", "kubelet is posting ready status"),
            ("KubeletNotReady", _aggregate(problems)),
        ),
    ]


def _condition(
    condition_type: str, is_true: bool, if_true: tuple[str, str], if_false: tuple[str, str]
) -> Json:
    reason, message = if_true if is_true else if_false
    status = "True" if is_true else "False"
    return {"type": condition_type, "status": status, "reason": reason, "message": message}


def _aggregate(problems: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(problems))
    return distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]"


def _describe(condition: RuntimeCondition | None) -> str:
    if condition is None:
        return "<nil>"
    status = str(condition.status).lower()
    return f"{condition.type}={status} reason:{condition.reason} message:{condition.message}"
