"""Requests and limits as what the kernel takes; pure.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_container_linux.go,
pkg/kubelet/qos/policy.go.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from edge_runtime.objects.pod_resources import (
    HUGEPAGES,
    container_requests,
    is_limited,
    parse_resources,
    pod_level_resources,
    pod_limits,
    pod_requests,
)
from edge_runtime.objects.qos import QOSClass, compute_qos_class
from edge_runtime.objects.quantity import QuantityError, whole_value
from edge_runtime.objects.runtime_status import ContainerResources

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.objects.container import Container
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.pod_resources import ResourceList

CPU_PERIOD_US = 100_000
MIN_CPU_SHARES = 2
MAX_CPU_SHARES = 262_144
_SHARES_PER_CPU = 1024
_MIN_QUOTA_US = 1000
GUARANTEED_OOM_SCORE_ADJ = -997
BEST_EFFORT_OOM_SCORE_ADJ = 1000
_SYSTEM_CRITICAL_PRIORITY = 2_000_000_000
_NOTHING = Fraction(0)
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
        min_oom_score_adj: The lowest that the machine lets us give to a process.
        cpus: How many processors.
    """

    memory_bytes: int
    cgroup_v2: bool
    swap_controller: bool = False
    hugepage_sizes: tuple[str, ...] = ()
    extra_masked_paths: tuple[str, ...] = ()
    min_oom_score_adj: int = -1000
    cpus: int = 1


def cpu_shares(milli_cpu: int) -> int:
    """Convert thousandths of a processor to cgroup v1's weight, 2 to 262144."""
    return min(max(milli_cpu * _SHARES_PER_CPU // 1000, MIN_CPU_SHARES), MAX_CPU_SHARES)


def cpu_quota_us(milli_cpu: int) -> int:
    """Convert a limit in thousandths of a processor to microseconds per period, 0 for no limit."""
    return max(milli_cpu * CPU_PERIOD_US // 1000, _MIN_QUOTA_US) if milli_cpu else 0


def container_resources(
    pod: Pod, container: Container, machine: MachineResources
) -> ContainerResources:
    """Compute what a container is confined to; where it has no limit, the pod's own holds.

    Raises:
        QuantityError: A request or limit is no quantity.
    """
    requests, own_limits = parse_resources(container.requests), parse_resources(container.limits)
    limits = {name: value for name, value in own_limits.items() if value}
    limits = pod_level_resources(pod, "limits") | limits
    memory_limit = _ceil(limits.get("memory", _NOTHING))
    unified = _unified(machine)
    memory_swap_limit = 0
    if machine.swap_controller and machine.cgroup_v2:
        unified["memory.swap.max"] = "0"
    elif machine.swap_controller:
        # Memory plus swap: equal to the memory limit leaves no swap.
        memory_swap_limit = memory_limit
    return ContainerResources(
        cpu_period_us=CPU_PERIOD_US,
        cpu_quota_us=cpu_quota_us(_milli(limits.get("cpu", _NOTHING))),
        cpu_shares=cpu_shares(_milli_request(requests, limits)),
        memory_limit_bytes=memory_limit,
        memory_swap_limit_bytes=memory_swap_limit,
        oom_score_adj=max(
            oom_score_adj(pod, container, machine.memory_bytes), machine.min_oom_score_adj
        ),
        hugepage_limits=hugepage_limits(
            pod_level_resources(pod, "limits") | own_limits, machine.hugepage_sizes
        ),
        unified=unified,
    )


def sandbox_resources(pod: Pod, machine: MachineResources) -> ContainerResources:
    """Sum up all containers, for runtimes that size a machine for the pod.

    Raises:
        QuantityError: A request or limit is no quantity.

    Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_sandbox_linux.go
    ``calculateSandboxResources``.
    """
    requests = pod_requests(pod, with_overhead=False)
    return _sandbox(requests, pod_limits(pod, with_overhead=False), machine)


def sandbox_overhead(pod: Pod, machine: MachineResources) -> ContainerResources:
    """Return what the pod's RuntimeClass adds; requests and limits are the same there.

    Raises:
        QuantityError: A value is no quantity.
    """
    overhead = parse_resources(pod.spec.get("overhead") or {})
    if not overhead:
        return ContainerResources()
    return _sandbox(overhead, overhead, machine)


@dataclass(frozen=True, slots=True, kw_only=True)
class PodCgroupLimits:
    """What a pod's own cgroup enforces; None leaves the kernel's default.

    Attributes:
        cpu_quota_us: Microseconds per CPU_PERIOD_US.
        hugepages: Bytes of each page size that the pod asks for; no other may be used.
        pids: How many processes and threads.
    """

    cpu_shares: int
    cpu_quota_us: int | None = None
    memory_bytes: int | None = None
    hugepages: tuple[tuple[str, int], ...] = ()
    pids: int | None = None


def pod_cgroup_limits(pod: Pod, *, pids: int | None = None) -> PodCgroupLimits:
    """Sum up what a pod's cgroup enforces: a limit only where every container has one.

    Args:
        pod: The pod.
        pids: ``podPidsLimit``, None for no limit.

    Raises:
        QuantityError: A request or limit is no quantity.

    Source: kubernetes pkg/kubelet/cm/helpers_linux.go ``ResourceConfigForPod``.
    """
    requests, limits = pod_requests(pod), pod_limits(pod)
    milli_cpu = _milli(requests.get("cpu", _NOTHING))
    quota_us = memory_bytes = None
    qos = compute_qos_class(pod)
    if qos is QOSClass.BEST_EFFORT:
        milli_cpu = 0
    elif qos is QOSClass.GUARANTEED or is_limited(pod, "cpu"):
        quota_us = cpu_quota_us(_milli(limits.get("cpu", _NOTHING))) or None
    if qos is QOSClass.GUARANTEED or (qos is QOSClass.BURSTABLE and is_limited(pod, "memory")):
        memory_bytes = _ceil(limits.get("memory", _NOTHING)) or None
    return PodCgroupLimits(
        cpu_shares=cpu_shares(milli_cpu),
        cpu_quota_us=quota_us,
        memory_bytes=memory_bytes,
        hugepages=tuple(sorted(_hugepages(requests).items())),
        pids=pids,
    )


def burstable_cpu_shares(pods: Iterable[Pod]) -> int:
    """Return the weight of all Burstable pods together: the sum of what they ask for.

    A pod whose requests cannot be read does not run, and counts for nothing.

    Source: kubernetes pkg/kubelet/cm/qos_container_manager_linux.go ``setCPUCgroupConfig``.
    """
    milli_cpu = 0
    for pod in pods:
        with contextlib.suppress(QuantityError):
            if compute_qos_class(pod) is QOSClass.BURSTABLE:
                milli_cpu += _milli(pod_requests(pod).get("cpu", _NOTHING))
    return cpu_shares(milli_cpu)


def oom_score_adj(pod: Pod, container: Container, memory_bytes: int) -> int:
    """Score a container for the kernel's choice of a victim: the higher, the sooner.

    A sidecar is never chosen before the regular containers it serves.

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
            share = _unclaimed_memory_share(pod)
            request = _memory_request(container) + share
            if container.is_sidecar:
                least = min(_memory_request(each) for each in pod.containers)
                request = max(request, least + share)
            score = 1000 - 1000 * request // memory_bytes
            return min(max(score, 1000 + GUARANTEED_OOM_SCORE_ADJ), BEST_EFFORT_OOM_SCORE_ADJ - 1)


def hugepage_limits(limits: ResourceList, page_sizes: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """Limit every page size of the machine, to 0 where the container asks for none."""
    wanted = _hugepages(limits)
    return tuple((size, wanted.get(size, 0)) for size in page_sizes)


def _hugepages(resources: ResourceList) -> dict[str, int]:
    return {
        hugepage_unit(whole_value(name.removeprefix(HUGEPAGES))): _ceil(value)
        for name, value in resources.items()
        if name.startswith(HUGEPAGES)
    }


def hugepage_unit(page_bytes: int) -> str:
    """Write a page size as the kernel's cgroup files do: 2097152 is ``2MB``."""
    unit = 0
    while page_bytes % 1024 == 0 and page_bytes and unit < len(_HUGEPAGE_UNITS) - 1:
        page_bytes //= 1024
        unit += 1
    return f"{page_bytes}{_HUGEPAGE_UNITS[unit]}"


def _sandbox(
    requests: ResourceList, limits: ResourceList, machine: MachineResources
) -> ContainerResources:
    return ContainerResources(
        cpu_period_us=CPU_PERIOD_US,
        cpu_quota_us=cpu_quota_us(_milli(limits.get("cpu", _NOTHING))),
        cpu_shares=cpu_shares(_milli_request(requests, limits)),
        memory_limit_bytes=_ceil(limits.get("memory", _NOTHING)),
        unified=_unified(machine),
    )


def _unified(machine: MachineResources) -> dict[str, str]:
    # Half a container is of no use: the kernel kills all of its processes or none.
    return {"memory.oom.group": "1"} if machine.cgroup_v2 else {}


def _milli_request(requests: ResourceList, limits: ResourceList) -> int:
    """Return the processor request; a limit without a request counts as one."""
    return _milli(requests.get("cpu", limits.get("cpu", _NOTHING)))


def _memory_request(container: Container) -> int:
    return whole_value(container.requests.get("memory", "0"))


def _unclaimed_memory_share(pod: Pod) -> int:
    """Return each container's part of what the pod asks for beyond its containers, bytes.

    Source: kubernetes pkg/kubelet/qos/helpers.go ``remainingPodMemReqPerContainer``.
    """
    requested = _ceil(pod_level_resources(pod, "requests").get("memory", _NOTHING))
    if not requested:
        return 0
    left = requested - _ceil(container_requests(pod).get("memory", _NOTHING))
    return left // (len(pod.containers) + len(pod.init_containers))


def _milli(value: Fraction) -> int:
    return _ceil(value * 1000)


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)


def _is_node_critical(pod: Pod) -> bool:
    critical = pod.priority is not None and pod.priority >= _SYSTEM_CRITICAL_PRIORITY
    return critical and pod.spec.get("priorityClassName") == "system-node-critical"
