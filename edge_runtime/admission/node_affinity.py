"""Whether a Node is one that a pod asks for; pure.

Source: kubernetes staging/src/k8s.io/component-helpers/scheduling/corev1/nodeaffinity/
nodeaffinity.go ``GetRequiredNodeAffinity``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.objects.node_selector import matches_terms

if TYPE_CHECKING:
    from edge_runtime.objects.node import Node
    from edge_runtime.objects.pod import Pod

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def matches_node(pod: Pod, node: Node) -> bool:
    """Tell whether ``nodeSelector`` and the required node affinity both allow the Node."""
    selector = pod.spec.get("nodeSelector") or {}
    if any(node.labels.get(key) != value for key, value in selector.items()):
        return False
    affinity = (pod.spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get(_REQUIRED)
    return required is None or matches_terms(required, node)
