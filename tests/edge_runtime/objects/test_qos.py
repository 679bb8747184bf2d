"""QoS classes from requests and limits."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.qos import QOSClass, compute_qos_class


def _pod(*resources: dict[str, Any], **spec: object) -> Pod:
    containers = [
        {"name": f"c{index}", "image": "i", "resources": each}
        for index, each in enumerate(resources)
    ]
    return Pod({"metadata": {"uid": "u", "name": "p"}, "spec": {"containers": containers, **spec}})


FULL = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1000m", "memory": "1024Mi"}}


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (_pod({}), QOSClass.BEST_EFFORT),
        (_pod({"requests": {"cpu": "0"}}), QOSClass.BEST_EFFORT),
        (_pod({"requests": {"ephemeral-storage": "1Gi"}}), QOSClass.BEST_EFFORT),
        (_pod(FULL), QOSClass.GUARANTEED),
        (_pod(FULL, FULL), QOSClass.GUARANTEED),
        (_pod(FULL, {}), QOSClass.BURSTABLE),
        (_pod({"requests": {"cpu": "100m"}}), QOSClass.BURSTABLE),
        (_pod({"limits": {"memory": "1Gi"}}), QOSClass.BURSTABLE),
        (
            _pod(
                {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "1Gi"}}
            ),
            QOSClass.BURSTABLE,
        ),
        (_pod({}, resources=FULL), QOSClass.GUARANTEED),
        (_pod(FULL, initContainers=[{"name": "i", "image": "i"}]), QOSClass.BURSTABLE),
    ],
)
def test_class_of_pod(pod: Pod, expected: QOSClass) -> None:
    """The kubelet's rules, case by case."""
    assert compute_qos_class(pod) is expected
