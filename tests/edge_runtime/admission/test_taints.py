"""Tolerations and taints."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.admission.taints import tolerates, untolerated_taint
from edge_runtime.objects.node import Taint
from edge_runtime.objects.pod import Pod

TAINT = Taint(key="k", value="5", effect="NoExecute")


@pytest.mark.parametrize(
    ("toleration", "expected"),
    [
        ({"key": "k", "value": "5"}, True),
        ({"key": "k", "operator": "Equal", "value": "6"}, False),
        ({"key": "k", "operator": "Exists"}, True),
        ({"key": "other", "operator": "Exists"}, False),
        ({"operator": "Exists"}, True),
        ({"operator": "Exists", "effect": "NoSchedule"}, False),
        ({"operator": "Exists", "effect": "NoExecute"}, True),
        ({"key": "k", "operator": "Exists", "tolerationSeconds": 1}, True),
        ({"key": "k", "operator": "Lt", "value": "6"}, True),
        ({"key": "k", "operator": "Lt", "value": "5"}, False),
        ({"key": "k", "operator": "Gt", "value": "4"}, True),
        ({"key": "k", "operator": "Gt", "value": "x"}, False),
        ({"key": "k", "operator": "Gt", "value": "-9223372036854775809"}, False),
        ({"key": "k", "operator": "Almost", "value": "5"}, False),
    ],
)
def test_toleration(toleration: dict[str, Any], expected: bool) -> None:
    """By key, operator, value and effect."""
    assert tolerates(Pod({"spec": {"tolerations": [toleration]}}), TAINT) is expected


def test_only_no_execute_keeps_a_pod_from_running() -> None:
    """What only keeps pods from being scheduled is the scheduler's."""
    pod = Pod({"spec": {}})
    other = Taint(key="a", effect="NoSchedule")
    assert untolerated_taint(pod, [other]) is None
    assert untolerated_taint(pod, [other, TAINT]) == TAINT
