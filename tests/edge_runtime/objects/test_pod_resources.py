"""Sums over a pod."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.pod_resources import (
    container_requests,
    is_limited,
    parse_resources,
    pod_level_resources,
    pod_limits,
    pod_requests,
)
from edge_runtime.objects.quantity import QuantityError

Json = dict[str, Any]


def container(name: str, cpu: str = "", *, kind: str = "requests", **fields: str) -> Json:
    """A container with one request or limit of processor time."""
    return {"name": name, "resources": {kind: {"cpu": cpu}} if cpu else {}, **fields}


def pod(regular: list[Json], init: list[Json] | None = None, **spec: Any) -> Pod:  # noqa: ANN401  # pod JSON
    """A pod of regular and init containers."""
    spec |= {"containers": regular, "initContainers": init or []}
    return Pod({"metadata": {"name": "p", "uid": "u"}, "spec": spec})


def sidecar(name: str, cpu: str = "", *, kind: str = "requests") -> Json:
    """A restartable init container."""
    return container(name, cpu, kind=kind, restartPolicy="Always")


@pytest.mark.parametrize(
    ("regular", "init", "cpu"),
    [
        ([], [], None),
        (["1", "2"], [], "3"),
        (["1"], ["5"], "5"),
        (["3", "3"], ["5", "4"], "6"),
        # Sidecars go on beside the regular ones.
        (["1"], ["s2"], "3"),
        # An init container runs beside the sidecars before it, not those after it.
        (["1"], ["s1", "4", "s2"], "5"),
        (["1"], ["4", "s2", "s2"], "5"),
        (["1"], ["4", "s2"], "4"),
    ],
)
def test_requests(regular: list[str], init: list[str], cpu: str | None) -> None:
    """Init containers run one by one, before the regular ones, beside sidecars."""
    each = pod(
        [container(f"c{i}", cpu) for i, cpu in enumerate(regular)],
        [
            sidecar(f"i{i}", cpu[1:]) if cpu[0] == "s" else container(f"i{i}", cpu)
            for i, cpu in enumerate(init)
        ],
    )
    assert container_requests(each) == parse_resources({} if cpu is None else {"cpu": cpu})


def test_the_pods_own_resources_win() -> None:
    """Whatever the containers say, as far as a whole pod can have them; overhead comes on top."""
    each = pod(
        [container("c", "1")],
        resources={"requests": {"cpu": "3", "ephemeral-storage": "1Gi"}, "limits": {"cpu": "4"}},
        overhead={"cpu": "500m", "memory": "1Mi"},
    )
    assert pod_level_resources(each, "requests") == parse_resources({"cpu": "3"})
    assert pod_requests(each) == parse_resources({"cpu": "3.5", "memory": "1Mi"})
    assert pod_requests(each, with_overhead=False) == parse_resources({"cpu": "3"})
    # What has no limit gets none by its overhead.
    assert pod_limits(each) == parse_resources({"cpu": "4.5"})
    assert pod_limits(each, with_overhead=False) == parse_resources({"cpu": "4"})


@pytest.mark.parametrize(
    ("regular", "init", "own", "limited"),
    [
        (["1"], [], {}, True),
        (["1", ""], [], {}, False),
        (["1"], [""], {}, False),
        # Beside a sidecar with a limit, an init container has one.
        (["1"], ["s1", ""], {}, True),
        ([""], [], {"limits": {"cpu": "1"}}, True),
        (["1"], ["s"], {}, False),
    ],
)
def test_a_pod_is_limited_if_all_its_containers_are(
    regular: list[str], init: list[str], own: Json, *, limited: bool
) -> None:
    """Or if it says so itself."""
    each = pod(
        [container(f"c{i}", cpu, kind="limits") for i, cpu in enumerate(regular)],
        [
            sidecar(f"i{i}", cpu[1:], kind="limits")
            if cpu.startswith("s")
            else container(f"i{i}", cpu, kind="limits")
            for i, cpu in enumerate(init)
        ],
        resources=own,
    )
    assert is_limited(each, "cpu") is limited
    assert not is_limited(each, "memory")


def test_what_is_no_quantity_is_refused() -> None:
    """A typing error must not count as nothing."""
    with pytest.raises(QuantityError):
        pod_requests(pod([container("c", "1 core")]))
