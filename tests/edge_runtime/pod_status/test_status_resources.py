"""Resources that statuses show: what is in force."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from edge_runtime.objects.container import Container
from edge_runtime.objects.pod import Pod
from edge_runtime.objects.runtime_status import ContainerResources, ContainerState
from edge_runtime.pod_status.status_resources import (
    container_resources_in_force,
    pod_allocated_resources,
    pod_resources_in_force,
)
from tests.fakes.edge_pods import pod_json
from tests.fakes.runtime_values import container

Json = dict[str, Any]

SPEC: Json = {
    "requests": {"cpu": "100m", "memory": "32Mi"},
    "limits": {"cpu": "500m", "memory": "64Mi"},
}
TOLD = ContainerResources(
    cpu_period_us=100_000, cpu_quota_us=75_000, cpu_shares=256, memory_limit_bytes=128 << 20
)


def _shown(
    spec: Json,
    told: ContainerResources | None,
    old: Json | None = None,
    state: ContainerState = ContainerState.RUNNING,
) -> Json:
    status = dataclasses.replace(container(state=state), resources=told)
    return container_resources_in_force(
        Container({"name": "c", "resources": spec}), status, {"resources": old} if old else None
    )


def test_what_the_runtime_tells_is_shown() -> None:
    """While a resize is under way it differs from what is asked for."""
    assert _shown(SPEC, TOLD) == {
        "requests": {"cpu": "250m", "memory": "32Mi"},
        "limits": {"cpu": "750m", "memory": "128Mi"},
    }


def test_only_what_is_asked_for_is_shown() -> None:
    """A container without limits shows none."""
    assert _shown({"requests": {"cpu": "100m"}}, TOLD) == {"requests": {"cpu": "250m"}}
    assert _shown({}, TOLD) == {}


def test_runtime_that_does_not_tell_changes_nothing() -> None:
    """As containerd 1.6: the spec's, or what was shown before."""
    assert _shown(SPEC, None) == SPEC
    old = {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}
    assert _shown(SPEC, None, old) == {
        "requests": {"cpu": "1", "memory": "32Mi"},
        "limits": {"cpu": "2", "memory": "1Gi"},
    }


def test_container_that_does_not_run_shows_what_it_will_get() -> None:
    """Nothing is in force."""
    assert _shown(SPEC, TOLD, state=ContainerState.EXITED) == SPEC


def test_what_the_kernel_cannot_tell_apart_is_as_asked_for() -> None:
    """Two shares stand for anything up to 2m."""
    told = ContainerResources(cpu_period_us=100_000, cpu_quota_us=1000, cpu_shares=2)
    spec = {"requests": {"cpu": "1m"}, "limits": {"cpu": "5m"}}
    assert _shown(spec, told) == spec


def test_equal_quantity_keeps_its_spelling() -> None:
    """A status that differs from the spec in nothing but letters would be a change to report."""
    told = ContainerResources(memory_limit_bytes=100_000_000)
    assert _shown({"limits": {"memory": "100M"}}, told) == {"limits": {"memory": "100M"}}


@pytest.mark.parametrize(
    ("spec", "is_running", "resources", "allocated"),
    [
        ({}, True, {}, {}),
        ({}, False, {}, {}),
        (SPEC, True, SPEC, SPEC["requests"]),
        (SPEC, False, SPEC, SPEC["requests"]),
        (
            {"requests": {"cpu": "10m", "ephemeral-storage": "1Gi"}},
            False,
            {"requests": {"cpu": "10m", "ephemeral-storage": "1Gi"}},
            {"cpu": "10m", "ephemeral-storage": "1Gi"},
        ),
        # A cgroup enforces no storage.
        (
            {"requests": {"cpu": "10m", "ephemeral-storage": "1Gi"}},
            True,
            {"requests": {"cpu": "10m"}},
            {"cpu": "10m", "ephemeral-storage": "1Gi"},
        ),
    ],
)
def test_resources_of_a_pod(
    spec: Json, resources: Json, allocated: Json, *, is_running: bool
) -> None:
    """All its containers together."""
    pod = Pod(pod_json(containers=[{"name": "c", "image": "i", "resources": spec}]))
    assert pod_resources_in_force(pod, is_running=is_running) == resources
    assert pod_allocated_resources(pod) == allocated


def test_sidecars_count_and_init_containers_are_the_least() -> None:
    """As the scheduler counts."""
    pod = Pod(
        pod_json(
            initContainers=[
                {
                    "name": "s",
                    "image": "i",
                    "restartPolicy": "Always",
                    "resources": {"requests": {"cpu": "50m"}},
                },
                {"name": "i", "image": "i", "resources": {"requests": {"memory": "1Gi"}}},
            ],
            containers=[{"name": "c", "image": "i", "resources": SPEC}],
        )
    )
    assert pod_allocated_resources(pod) == {"cpu": "150m", "memory": "1Gi"}
