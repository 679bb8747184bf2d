"""Node conditions from what is left and from the runtime's state; pure.

Source: kubernetes pkg/kubelet/nodestatus/setters.go, pkg/kubelet/runtime.go,
KubeletConfiguration evictionHard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.machine.usage import FilesystemSpace, MachineUsage
    from edge_runtime.objects.runtime_info import RuntimeCondition, RuntimeStatus

Json = dict[str, Any]

# What is kept free by default: memory.available<100Mi, nodefs.available<10%.
EVICTION_MEMORY_BYTES = 100 << 20
EVICTION_STORAGE_PERCENT = 10
_NODEFS_INODES_PERCENT = 5
_IMAGEFS_PERCENT = 15
_IMAGEFS_INODES_PERCENT = 5
# A kubelet has no default for process ids; with less than this no sandbox starts.
_PIDS_PERCENT = 1
# A pressure that is over is told for so long, or pods would come and go with every swing.
# Source: KubeletConfiguration evictionPressureTransitionPeriod.
PRESSURE_TRANSITION_S = 300.0
# Source: kubernetes pkg/kubelet/kubelet.go ``maxWaitForContainerRuntime``.
RUNTIME_SYNC_THRESHOLD_S = 30.0


def memory_pressure(usage: MachineUsage) -> bool:
    """Tell whether memory runs short."""
    return usage.available_memory_bytes < EVICTION_MEMORY_BYTES


def disk_pressure(usage: MachineUsage) -> bool:
    """Tell whether space or inodes of either filesystem run short."""
    if _is_short(
        usage.nodefs, percent=EVICTION_STORAGE_PERCENT, inodes_percent=_NODEFS_INODES_PERCENT
    ):
        return True
    return usage.imagefs is not None and _is_short(
        usage.imagefs, percent=_IMAGEFS_PERCENT, inodes_percent=_IMAGEFS_INODES_PERCENT
    )


def pid_pressure(usage: MachineUsage) -> bool:
    """Tell whether process ids run short."""
    return (usage.max_pids - usage.pids) * 100 < usage.max_pids * _PIDS_PERCENT


class Pressure:
    """One pressure over time: true at once, and for PRESSURE_TRANSITION_S after it was seen."""

    def __init__(self) -> None:
        self._seen_at: float | None = None

    def observe(self, *, is_short: bool, now: float) -> bool:
        """Take a measurement and return whether the condition is true; ``now`` is monotonic."""
        if is_short:
            self._seen_at = now
        return self._seen_at is not None and (now - self._seen_at < PRESSURE_TRANSITION_S)


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


def node_conditions(*, memory: bool, disk: bool, pid: bool, problems: Sequence[str]) -> list[Json]:
    """Return the Node's conditions in the kubelet's order, Ready last, without times."""
    return [
        _condition(
            "MemoryPressure",
            memory,
            ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
            ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ),
        _condition(
            "DiskPressure",
            disk,
            ("KubeletHasDiskPressure", "kubelet has disk pressure"),
            ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ),
        _condition(
            "PIDPressure",
            pid,
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


def _is_short(space: FilesystemSpace, *, percent: int, inodes_percent: int) -> bool:
    if space.available_bytes * 100 < space.capacity_bytes * percent:
        return True
    return space.inodes_free * 100 < space.inodes * inodes_percent
