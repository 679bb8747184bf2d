"""NodeSelectors, as the scheduler and the kubelet read them."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.objects.node import Node
from edge_runtime.objects.node_selector import matches_terms

NODE = Node(name="edge", labels={"zone": "a", "cores": "8", "ssd": ""})


def selector(*terms: dict[str, Any]) -> dict[str, Any]:
    """A selector of these terms."""
    return {"nodeSelectorTerms": list(terms)}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    """A term with one requirement."""
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        (expression("zone", "In", "a", "b"), True),
        (expression("zone", "In", "b"), False),
        (expression("gone", "In", "b"), False),
        (expression("zone", "NotIn", "a"), False),
        (expression("gone", "NotIn", "a"), True),
        (expression("ssd", "Exists"), True),
        (expression("gone", "Exists"), False),
        (expression("gone", "DoesNotExist"), True),
        (expression("zone", "DoesNotExist"), False),
        (expression("cores", "Gt", "7"), True),
        (expression("cores", "Gt", "8"), False),
        (expression("cores", "Lt", "9"), True),
        (expression("zone", "Gt", "1"), False),
        (expression("cores", "Gt", "x"), False),
        (expression("cores", "Gt", "99999999999999999999"), False),
        (expression("gone", "Lt", "1"), False),
        (expression("zone", "Sometimes", "a"), False),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["edge"]}]}, True),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["x"]}]}, False),
        ({"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["x"]}]}, True),
        ({"matchFields": [{"key": "metadata.name", "operator": "In", "values": []}]}, False),
        ({"matchFields": [{"key": "metadata.name", "operator": "Gt", "values": ["x"]}]}, False),
        ({}, False),
    ],
)
def test_one_term(term: dict[str, Any], expected: bool) -> None:
    """Every operator; what nobody understands selects nothing."""
    assert matches_terms(selector(term), NODE) is expected


def test_terms_are_alternatives_and_requirements_are_not() -> None:
    """Any term, all of its requirements; no term selects nothing."""
    both = {"matchExpressions": [*expression("zone", "In", "a")["matchExpressions"]]}
    both["matchExpressions"] += expression("cores", "Gt", "9")["matchExpressions"]
    assert not matches_terms(selector(both), NODE)
    assert matches_terms(selector(both, expression("ssd", "Exists")), NODE)
    assert not matches_terms(selector(), NODE)
