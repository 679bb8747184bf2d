"""Whether a Node is one that a NodeSelector selects; pure.

Source: kubernetes staging/src/k8s.io/component-helpers/scheduling/corev1/nodeaffinity/
nodeaffinity.go ``NewNodeSelector``, apimachinery/pkg/labels/selector.go.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.node import Node

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INT64 = range(-(1 << 63), 1 << 63)


def matches_terms(selector: Json, node: Node) -> bool:
    """Tell whether one of the selector's terms selects the Node.

    Args:
        selector: A ``NodeSelector``: its ``nodeSelectorTerms`` are alternatives, and one without
            any requirement selects nothing.
        node: The Node.
    """
    return any(_matches_term(each, node) for each in selector.get("nodeSelectorTerms") or ())


def _matches_term(term: Json, node: Node) -> bool:
    expressions = term.get("matchExpressions") or ()
    fields = term.get("matchFields") or ()
    if not expressions and not fields:
        return False
    own_fields = {"metadata.name": node.name}
    return all(_matches_label(each, node.labels) for each in expressions) and all(
        _matches_field(each, own_fields) for each in fields
    )


def _matches_label(requirement: Json, labels: Mapping[str, str]) -> bool:
    key, values = str(requirement["key"]), _values(requirement)
    match requirement.get("operator"):
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
        case "Gt":
            return len(values) == 1 and key in labels and _is_less(values[0], labels[key])
        case "Lt":
            return len(values) == 1 and key in labels and _is_less(labels[key], values[0])
        case _:
            return False


def _matches_field(requirement: Json, fields: Mapping[str, str]) -> bool:
    values = _values(requirement)
    if len(values) != 1:
        return False
    found = fields.get(str(requirement["key"]), "")
    match requirement.get("operator"):
        case "In":
            return found == values[0]
        case "NotIn":
            return found != values[0]
        case _:
            return False


def _values(requirement: Json) -> tuple[str, ...]:
    return tuple(str(each) for each in requirement.get("values") or ())


def _is_less(first: str, second: str) -> bool:
    if not (_INTEGER.fullmatch(first) and _INTEGER.fullmatch(second)):
        return False
    numbers = int(first), int(second)
    return all(each in _INT64 for each in numbers) and numbers[0] < numbers[1]
