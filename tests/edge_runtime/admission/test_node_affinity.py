"""Node selectors and required affinity, as the scheduler reads them."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.admission.node_affinity import matches_node
from edge_runtime.objects.node import Node
from edge_runtime.objects.pod import Pod

NODE = Node(name="edge", labels={"zone": "a", "cores": "8", "ssd": ""})


def required(*terms: dict[str, Any]) -> Pod:
    """A pod that requires one of these terms."""
    affinity = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return Pod({"spec": {"affinity": {"nodeAffinity": affinity}}})


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    """A term with one requirement."""
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [({}, True), ({"zone": "a"}, True), ({"zone": "b"}, False), ({"zone": "a", "x": "y"}, False)],
)
def test_node_selector(selector: dict[str, str], expected: bool) -> None:
    """All labels must be there."""
    assert matches_node(Pod({"spec": {"nodeSelector": selector}}), NODE) is expected


@pytest.mark.parametrize(("zone", "expected"), [("a", True), ("b", False)])
def test_required_affinity(zone: str, expected: bool) -> None:
    """Beside the node selector, a term must select the Node."""
    pod = required(expression("zone", "In", zone))
    assert matches_node(pod, NODE) is expected
    pod.raw["spec"]["nodeSelector"] = {"zone": "b"}
    assert not matches_node(pod, NODE)


def test_no_term_selects_nothing() -> None:
    """An affinity that names no alternative cannot be met."""
    assert not matches_node(required(), NODE)
