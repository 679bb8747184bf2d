"""What is known of the edge's own Node."""

from __future__ import annotations

from edge_runtime.objects.node import Node, initial_node


def test_a_node_that_nobody_told_of_has_a_kubelets_own_labels() -> None:
    """So that a pod which asks for an architecture is admitted before the first NodePut."""
    assert initial_node(architecture="arm64") == Node(
        name="",
        labels={
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "arm64",
            "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": "arm64",
        },
    )
