"""Pods are called what kubectl calls them, and those in trouble come first."""

from __future__ import annotations

from typing import Any

import pytest

from provider.status_page.site_view import MAX_PODS, UsageView, pod_views


def _pod(name: str, **status: object) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "shop", "name": name, "uid": f"uid-{name}"},
        "spec": {"containers": [{"name": "main"}]},
        "status": status,
    }


def _container(*, ready: bool = False, waiting: str = "", restarts: int = 0) -> dict[str, Any]:
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    return {"name": "main", "ready": ready, "restartCount": restarts, "state": state}


@pytest.mark.parametrize(
    ("status", "state", "healthy"),
    [
        ({"phase": "Running", "containerStatuses": [_container(ready=True)]}, "Running", True),
        ({"phase": "Running", "containerStatuses": [_container()]}, "Running", False),
        (
            {"phase": "Running", "containerStatuses": [_container(waiting="CrashLoopBackOff")]},
            "CrashLoopBackOff",
            False,
        ),
        (
            {"phase": "Pending", "initContainerStatuses": [_container(waiting="ErrImagePull")]},
            "ErrImagePull",
            False,
        ),
        ({"phase": "Succeeded"}, "Succeeded", True),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted", False),
        ({}, "Pending", False),
    ],
)
def test_the_state_of_a_pod(status: dict[str, Any], state: str, *, healthy: bool) -> None:
    """The phase alone would hide what is wrong."""
    (view,) = pod_views([_pod("a", **status)], {})
    assert (view.state, view.healthy) == (state, healthy)


def test_a_pod_that_is_deleted_is_terminating() -> None:
    """Whatever its phase is."""
    pod = _pod("a", phase="Running")
    pod["metadata"]["deletionTimestamp"] = "2026-11-01T00:00:00Z"
    assert pod_views([pod], {})[0].state == "Terminating"


def test_who_is_in_trouble_comes_first_and_usage_is_its_own() -> None:
    """By UID: a name may come again."""
    good = _pod("a", phase="Running", containerStatuses=[_container(ready=True, restarts=3)])
    bad = _pod("z", phase="Pending")
    usage = {"uid-a": UsageView(cpu_nano_cores=5)}
    first, second = pod_views([good, bad], usage)
    assert (first.name, second.name, second.restarts) == ("z", "a", 3)
    assert (second.usage.cpu_nano_cores, first.usage.cpu_nano_cores) == (5, None)


def test_an_object_that_is_odd_does_not_break_the_page() -> None:
    """The API server's objects have all fields; what comes after it may not."""
    odd = {"metadata": {"creationTimestamp": "yesterday"}, "status": {"containerStatuses": None}}
    assert pod_views([odd, {}], {})[0].created is None


def test_not_more_pods_than_a_page_holds() -> None:
    """Whoever has more reads the API."""
    assert len(pod_views([_pod(f"p{index}") for index in range(MAX_PODS + 1)], {})) == MAX_PODS
