"""Resources of containers and pods as their status shows them: what is in force; pure.

Source: kubernetes pkg/kubelet/kubelet_pods.go ``convertContainerStatusResources``,
``convertToAPIPodLevelResourcesStatus``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.objects.pod_resources import pod_limits, pod_requests
from edge_runtime.objects.quantity import (
    format_milli,
    format_quantity,
    milli_value,
    parse_quantity,
)
from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.runtime.cri_resources import CPU_PERIOD_US, MIN_CPU_SHARES, pod_cgroup_limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from edge_runtime.objects.container import Container, Json
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.runtime_status import ContainerStatus

_SHARES_PER_CPU = 1024
# What the kernel cannot tell apart: at or below it the spec's own value is shown.
# Source: kubernetes pkg/kubelet/cm/helpers_linux.go ``MinMilliCPULimit``, ``MinShares``.
_MIN_MILLI_LIMIT = 10
_MIN_MILLI_REQUEST = MIN_CPU_SHARES


def container_resources_in_force(
    container: Container, latest: ContainerStatus, old: Json | None
) -> Json:
    """Return ``resources`` of a container's status.

    Args:
        container: As it was admitted.
        latest: What the runtime has of it.
        old: The status before if it showed this attempt running: what the runtime does not tell
            stays.
    """
    spec: Json = container.raw.get("resources") or {}
    resources: Json = {
        name: dict(value) if isinstance(value, dict) else value for name, value in spec.items()
    }
    if latest.state is not ContainerState.RUNNING:
        return resources
    before: Json = (old or {}).get("resources") or {}
    told = latest.resources
    if "limits" in resources:
        actual = {
            "cpu": _milli_of_quota(told.cpu_quota_us, told.cpu_period_us) if told else 0,
            "memory": told.memory_limit_bytes if told else 0,
        }
        _put(resources["limits"], actual, before.get("limits") or {}, floor=_MIN_MILLI_LIMIT)
    if "requests" in resources:
        actual = {"cpu": _milli_of_shares(told.cpu_shares) if told else 0, "memory": 0}
        _put(resources["requests"], actual, before.get("requests") or {}, floor=_MIN_MILLI_REQUEST)
    return resources


def pod_allocated_resources(pod: Pod) -> Json:
    """Return ``allocatedResources`` of a pod's status: all that it asks for.

    Raises:
        QuantityError: A request is no quantity.
    """
    return _formatted(pod_requests(pod))


def pod_resources_in_force(pod: Pod, *, is_running: bool) -> Json:
    """Return ``resources`` of a pod's status: of one that runs, what its cgroup enforces.

    Nobody but us sets that cgroup, so it is computed and not read.

    Raises:
        QuantityError: A request or limit is no quantity.
    """
    requests, limits = _formatted(pod_requests(pod)), _formatted(pod_limits(pod))
    if is_running:
        own: Json = pod.spec.get("resources") or {}
        enforced = pod_cgroup_limits(pod)
        requests = _enforceable(requests) | dict(own.get("requests") or {})
        limits = _enforceable(limits) | dict(own.get("limits") or {})
        shares = {"cpu": _milli_of_shares(enforced.cpu_shares), "memory": 0}
        _put(requests, shares, {}, floor=_MIN_MILLI_REQUEST)
        quota = {
            "cpu": _milli_of_quota(enforced.cpu_quota_us or 0, CPU_PERIOD_US),
            "memory": enforced.memory_bytes or 0,
        }
        _put(limits, quota, {}, floor=_MIN_MILLI_LIMIT)
    found = {"requests": requests, "limits": limits}
    return {name: value for name, value in found.items() if value}


def _put(shown: Json, actual: Mapping[str, int], before: Json, *, floor: int) -> None:
    """Replace what is shown by what is in force; 0 is not told, and what was shown before stays."""
    cpu, memory = actual["cpu"], actual["memory"]
    if not cpu:
        _keep(shown, before, "cpu")
    elif cpu > floor or milli_value(str(shown.get("cpu", "0"))) > floor:
        shown["cpu"] = format_milli(cpu)
    if not memory:
        _keep(shown, before, "memory")
    elif parse_quantity(str(shown.get("memory", "0"))) != memory:
        shown["memory"] = format_quantity(memory, binary=True)


def _keep(shown: Json, before: Json, name: str) -> None:
    if name in before:
        shown[name] = before[name]


def _milli_of_quota(quota_us: int, period_us: int) -> int:
    return quota_us * 1000 // period_us if quota_us > 0 and period_us > 0 else 0


def _milli_of_shares(shares: int) -> int:
    return -(-shares * 1000 // _SHARES_PER_CPU) if shares >= MIN_CPU_SHARES else 0


def _enforceable(resources: Json) -> Json:
    return {name: value for name, value in resources.items() if name in ("cpu", "memory")}


def _formatted(resources: Mapping[str, Fraction]) -> Json:
    return {name: _format(name, value) for name, value in sorted(resources.items())}


def _format(name: str, value: Fraction) -> str:
    if name == "cpu" or value.denominator != 1:
        return format_milli(-(-value.numerator * 1000 // value.denominator))
    is_bytes = name in ("memory", "ephemeral-storage") or name.startswith("hugepages-")
    return format_quantity(int(value), binary=is_bytes)
