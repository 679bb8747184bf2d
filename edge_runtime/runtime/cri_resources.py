"""Requests and limits as what the kernel takes; pure.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_container_linux.go,
pkg/kubelet/qos/policy.go.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from edge_runtime.objects.qos import QOSClass, compute_qos_class
from edge_runtime.objects.quantity import milli_value, parse_quantity, whole_value
from edge_runtime.objects.runtime_status import ContainerResources

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge_runtime.objects.container import Container
    from edge_runtime.objects.pod import Pod

CPU_PERIOD_US = 100_000
MIN_CPU_SHARES = 2
MAX_CPU_SHARES = 262_144
_SHARES_PER_CPU = 1024
_MIN_QUOTA_US = 1000
GUARANTEED_OOM_SCORE_ADJ = -997
BEST_EFFORT_OOM_SCORE_ADJ = 1000
_SYSTEM_CRITICAL_PRIORITY = 2_000_000_000
_HUGEPAGES = "hugepages-"
_HUGEPAGE_UNITS = ("B", "KB", "MB", "GB", "TB", "PB")


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineResources:
    """What of the machine decides how a container is confined.

    Attributes:
        memory_bytes: The machine's memory; Burstable containers are scored by their share of it.
        cgroup_v2: Whether the unified hierarchy is the only one.
        swap_controller: Whether a cgroup can limit swap.
        hugepage_sizes: As the kernel's cgroups name them: ``2MB``, ``1GB``.
        extra_masked_paths: Existing paths of this machine to hide besides the usual ones.
    """

    memory_bytes: int
    cgroup_v2: bool
    swap_controller: bool = False
    hugepage_sizes: tuple[str, ...] = ()
    extra_masked_paths: tuple[str, ...] = ()


def cpu_shares(milli_cpu: int) -> int:
    """Convert thousandths of a processor to cgroup v1's weight, 2 to 262144."""
    return min(max(milli_cpu * _SHARES_PER_CPU // 1000, MIN_CPU_SHARES), MAX_CPU_SHARES)


def cpu_quota_us(milli_cpu: int) -> int:
    """Convert a limit in thousandths of a processor to microseconds per period, 0 for no limit."""
    return max(milli_cpu * CPU_PERIOD_US // 1000, _MIN_QUOTA_US) if milli_cpu else 0


def container_resources(
    pod: Pod, container: Container, machine: MachineResources
) -> ContainerResources:
    """Compute what a container is confined to.

    Raises:
        QuantityError: A request or limit is no quantity.
    """
    memory_limit = whole_value(container.limits.get("memory", "0"))
    unified = {"memory.oom.group": "1"} if machine.cgroup_v2 else {}
    memory_swap_limit = 0
    if machine.swap_controller and machine.cgroup_v2:
        unified["memory.swap.max"] = "0"
    elif machine.swap_controller:
        # Memory plus swap: equal to the memory limit leaves no swap.
        memory_swap_limit = memory_limit
    return ContainerResources(
        cpu_period_us=CPU_PERIOD_US,
        cpu_quota_us=cpu_quota_us(milli_value(container.limits.get("cpu", "0"))),
        cpu_shares=cpu_shares(_milli_request(container.requests, container.limits)),
        memory_limit_bytes=memory_limit,
        memory_swap_limit_bytes=memory_swap_limit,
        oom_score_adj=oom_score_adj(pod, container, machine.memory_bytes),
        hugepage_limits=hugepage_limits(container.limits, machine.hugepage_sizes),
        unified=unified,
    )


def sandbox_resources(pod: Pod, machine: MachineResources) -> ContainerResources:
    """Sum up the regular containers, for runtimes that size a machine for the pod.

    Raises:
        QuantityError: A request or limit is no quantity.
    """
    requests = _sum(container.requests for container in pod.containers)
    limits = _sum(container.limits for container in pod.containers)
    return _sandbox(requests, limits, machine)


def sandbox_overhead(pod: Pod, machine: MachineResources) -> ContainerResources:
    """Return what the pod's RuntimeClass adds; requests and limits are the same there.

    Raises:
        QuantityError: A value is no quantity.
    """
    overhead = {name: str(value) for name, value in (pod.spec.get("overhead") or {}).items()}
    if not overhead:
        return ContainerResources()
    return _sandbox(overhead, overhead, machine)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCgroupLimits:
    """What a pod's own cgroup enforces; None leaves the kernel's default.

    Attributes:
        cpu_quota_us: Microseconds per CPU_PERIOD_US.
    """

    cpu_shares: int
    cpu_quota_us: int | None = None
    memory_bytes: int | None = None


def pod_cgroup_limits(pod: Pod) -> PodCgroupLimits:
    """Sum up what a pod's cgroup enforces: a limit only where every container has one.

    Raises:
        QuantityError: A request or limit is no quantity.

    Source: kubernetes pkg/kubelet/cm/helpers_linux.go ``ResourceConfigForPod``.
    """
    requests = _sum(container.requests for container in pod.containers)
    limits = _sum(container.limits for container in pod.containers)

    def is_limited(resource: str) -> bool:
        return all(parse_quantity(c.limits.get(resource, "0")) > 0 for c in pod.containers)

    return PodCgroupLimits(
        cpu_shares=cpu_shares(milli_value(requests.get("cpu", "0"))),
        cpu_quota_us=cpu_quota_us(milli_value(limits["cpu"])) if is_limited("cpu") else None,
        memory_bytes=whole_value(limits["memory"]) if is_limited("memory") else None,
    )


def oom_score_adj(pod: Pod, container: Container, memory_bytes: int) -> int:
    """Score a container for the kernel's choice of a victim: the higher, the sooner.

    Args:
        pod: The pod.
        container: One of its containers.
        memory_bytes: The machine's memory.
    """
    if _is_node_critical(pod):
        return GUARANTEED_OOM_SCORE_ADJ
    match compute_qos_class(pod):
        case QOSClass.GUARANTEED:
            return GUARANTEED_OOM_SCORE_ADJ
        case QOSClass.BEST_EFFORT:
            return BEST_EFFORT_OOM_SCORE_ADJ
        case QOSClass.BURSTABLE:
            request = whole_value(container.requests.get("memory", "0"))
            score = 1000 - 1000 * request // memory_bytes
            return min(max(score, 1000 + GUARANTEED_OOM_SCORE_ADJ), BEST_EFFORT_OOM_SCORE_ADJ - 1)


def hugepage_limits(
    limits: Mapping[str, str], page_sizes: Iterable[str]
) -> tuple[tuple[str, int], ...]:
    """Limit every page size of the machine, to 0 where the container asks for none."""
    wanted = {
        hugepage_unit(whole_value(name.removeprefix(_HUGEPAGES))): whole_value(value)
        for name, value in limits.items()
        if name.startswith(_HUGEPAGES)
    }
    return tuple((size, wanted.get(size, 0)) for size in page_sizes)


def hugepage_unit(page_bytes: int) -> str:
    """Write a page size as the kernel's cgroup files do: 2097152 is ``2MB``."""
    unit = 0
    while page_bytes % 1024 == 0 and page_bytes and unit < len(_HUGEPAGE_UNITS) - 1:
        page_bytes //= 1024
        unit += 1
    return f"{page_bytes}{_HUGEPAGE_UNITS[unit]}"


def _sandbox(
    requests: Mapping[str, str], limits: Mapping[str, str], machine: MachineResources
) -> ContainerResources:
    return ContainerResources(
        cpu_period_us=CPU_PERIOD_US,
        cpu_quota_us=cpu_quota_us(milli_value(limits.get("cpu", "0"))),
        cpu_shares=cpu_shares(_milli_request(requests, limits)),
        memory_limit_bytes=whole_value(limits.get("memory", "0")),
        unified={"memory.oom.group": "1"} if machine.cgroup_v2 else {},
    )


def _milli_request(requests: Mapping[str, str], limits: Mapping[str, str]) -> int:
    """Return the processor request; a limit without a request counts as one."""
    return milli_value(requests.get("cpu", limits.get("cpu", "0")))


def _sum(lists: Iterable[Mapping[str, str]]) -> dict[str, str]:
    total: defaultdict[str, Fraction] = defaultdict(Fraction)
    for each in lists:
        for name in ("cpu", "memory"):
            if name in each:
                total[name] += parse_quantity(each[name])
    # Thousandths, rounded up, keep what the kernel can tell apart.
    return {name: f"{-(-value * 1000 // 1)}m" for name, value in total.items()}


def _is_node_critical(pod: Pod) -> bool:
    critical = pod.priority is not None and pod.priority >= _SYSTEM_CRITICAL_PRIORITY
    return critical and pod.spec.get("priorityClassName") == "system-node-critical"
