"""Requests and limits as what the kernel takes."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.pod_resources import parse_resources
from edge_runtime.runtime.cri_resources import (
    MachineResources,
    PodCgroupLimits,
    container_resources,
    cpu_quota_us,
    cpu_shares,
    hugepage_limits,
    hugepage_unit,
    oom_score_adj,
    pod_cgroup_limits,
    sandbox_overhead,
    sandbox_resources,
)

GIB = 1 << 30
V1 = MachineResources(memory_bytes=4 * GIB, cgroup_v2=False)
V2 = MachineResources(memory_bytes=4 * GIB, cgroup_v2=True)


def pod(*resources: dict[str, dict[str, str]], **spec: Any) -> Pod:  # noqa: ANN401  # pod JSON
    """A pod whose containers have these resources."""
    containers = [{"name": f"c{i}", "resources": each} for i, each in enumerate(resources)]
    return Pod({"metadata": {"name": "p", "uid": "u"}, "spec": {"containers": containers, **spec}})


@pytest.mark.parametrize(
    ("milli", "shares"), [(0, 2), (1, 2), (100, 102), (1000, 1024), (1_000_000, 262_144)]
)
def test_cpu_shares(milli: int, shares: int) -> None:
    """Shares are clamped to what the kernel takes."""
    assert cpu_shares(milli) == shares


@pytest.mark.parametrize(("milli", "quota"), [(0, 0), (1, 1000), (500, 50_000), (2000, 200_000)])
def test_cpu_quota(milli: int, quota: int) -> None:
    """A quota is at least a millisecond; no limit is no quota."""
    assert cpu_quota_us(milli) == quota


def test_requests_and_limits() -> None:
    """Shares come from the request, quota and memory from the limits."""
    each = pod(
        {"requests": {"cpu": "250m"}, "limits": {"cpu": "1", "memory": "64Mi"}},
    )
    found = container_resources(each, each.containers[0], V1)
    assert (found.cpu_shares, found.cpu_quota_us, found.cpu_period_us) == (256, 100_000, 100_000)
    assert found.memory_limit_bytes == 64 << 20
    assert found.unified == {}


def test_a_limit_without_request_is_the_request() -> None:
    """As the API server fills it in for new pods."""
    each = pod({"limits": {"cpu": "500m"}})
    assert container_resources(each, each.containers[0], V1).cpu_shares == 512


def test_the_unified_hierarchy_kills_the_whole_group_and_forbids_swap() -> None:
    """memory.oom.group always, memory.swap.max where swap can be limited."""
    each = pod({})
    assert container_resources(each, each.containers[0], V2).unified == {"memory.oom.group": "1"}
    swap = MachineResources(memory_bytes=GIB, cgroup_v2=True, swap_controller=True)
    unified = container_resources(each, each.containers[0], swap).unified
    assert unified == {"memory.oom.group": "1", "memory.swap.max": "0"}


def test_version_1_forbids_swap_by_an_equal_limit() -> None:
    """Memory plus swap may not exceed the memory limit."""
    each = pod({"limits": {"memory": "1Mi"}})
    swap = MachineResources(memory_bytes=GIB, cgroup_v2=False, swap_controller=True)
    assert container_resources(each, each.containers[0], swap).memory_swap_limit_bytes == 1 << 20


@pytest.mark.parametrize(
    ("resources", "score"),
    [
        ({}, 1000),
        (
            {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}},
            -997,
        ),
        ({"requests": {"cpu": "1"}}, 999),
        ({"requests": {"memory": "1Gi"}}, 750),
        ({"requests": {"memory": "4Gi"}}, 3),
        ({"requests": {"memory": "1"}}, 999),
    ],
)
def test_oom_score(resources: dict[str, dict[str, str]], score: int) -> None:
    """The less of its memory a container asked for, the sooner it is killed."""
    each = pod(resources)
    assert oom_score_adj(each, each.containers[0], 4 * GIB) == score


def test_a_node_critical_pod_is_killed_last() -> None:
    """Its class does not matter."""
    each = pod({}, priority=2_000_001_000, priorityClassName="system-node-critical")
    assert oom_score_adj(each, each.containers[0], GIB) == -997


def test_hugepages() -> None:
    """Every page size of the machine is limited, to 0 where nothing is asked for."""
    limits = {"hugepages-2Mi": "4Mi", "cpu": "1"}
    assert hugepage_limits(parse_resources(limits), ["2MB", "1GB"]) == (
        ("2MB", 4 << 20),
        ("1GB", 0),
    )
    assert hugepage_unit(64 << 10) == "64KB"
    assert hugepage_unit(0) == "0B"


def test_the_sandbox_has_the_sum() -> None:
    """Runtimes that make a machine for the pod size it by this."""
    each = pod(
        {"requests": {"cpu": "100m"}, "limits": {"memory": "1Mi"}},
        {"requests": {"cpu": "0.2"}, "limits": {"memory": "2Mi"}},
        overhead={"cpu": "1", "memory": "3Mi"},
    )
    total = sandbox_resources(each, V2)
    assert (total.cpu_shares, total.memory_limit_bytes) == (307, 3 << 20)
    overhead = sandbox_overhead(each, V2)
    assert (overhead.cpu_shares, overhead.memory_limit_bytes) == (1024, 3 << 20)


def test_the_pods_group_is_limited_only_if_every_container_is() -> None:
    """One container without a limit may use all that is left."""
    limited: dict[str, dict[str, str]] = {"limits": {"cpu": "1", "memory": "1Mi"}}
    assert pod_cgroup_limits(pod(limited, limited)) == PodCgroupLimits(
        cpu_shares=2, cpu_quota_us=200_000, memory_bytes=2 << 20
    )
    assert pod_cgroup_limits(pod(limited, {"requests": {"cpu": "1"}})) == PodCgroupLimits(
        cpu_shares=1024
    )
