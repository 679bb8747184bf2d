"""What the edge knows of its own Node object: labels, annotations, taints, pod ranges."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """Keeps pods away that do not tolerate it.

    Attributes:
        effect: ``NoSchedule``, ``PreferNoSchedule`` or ``NoExecute``.
    """

    key: str
    value: str = ""
    effect: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The Node as the API server holds it, as far as the edge acts on it.

    Attributes:
        name: "" before the cloud told it.
    """

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    pod_cidrs: tuple[str, ...] = ()


def initial_node(*, architecture: str) -> Node:
    """Return what is known of a Node before the cloud told of it.

    Source: kubernetes pkg/kubelet/kubelet_node_status.go ``initialNode``.
    """
    labels = {
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": "linux",
        "beta.kubernetes.io/arch": architecture,
    }
    return Node(name="", labels=labels)
