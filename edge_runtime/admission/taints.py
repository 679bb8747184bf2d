"""Which taints keep a pod from running; pure.

Source: kubernetes staging/src/k8s.io/api/core/v1/toleration.go ``ToleratesTaint``,
pkg/kubelet/lifecycle/predicate.go ``generalFilter``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.node import Taint
    from edge_runtime.objects.pod import Pod

NO_EXECUTE = "NoExecute"
_INTEGER = re.compile(r"0|-?[1-9][0-9]*", re.ASCII)
_INT64 = range(-(1 << 63), 1 << 63)


def untolerated_taint(pod: Pod, taints: Iterable[Taint]) -> Taint | None:
    """Return the first taint that forbids running the pod; only NoExecute does on a node."""
    return next(
        (each for each in taints if each.effect == NO_EXECUTE and not tolerates(pod, each)), None
    )


def tolerates(pod: Pod, taint: Taint) -> bool:
    """Tell whether a toleration of the pod matches a taint."""
    return any(_matches(each, taint) for each in pod.spec.get("tolerations") or ())


def _matches(toleration: Json, taint: Taint) -> bool:
    # An empty effect or key matches every one.
    if toleration.get("effect") and toleration["effect"] != taint.effect:
        return False
    if toleration.get("key") and toleration["key"] != taint.key:
        return False
    value = str(toleration.get("value") or "")
    match toleration.get("operator") or "Equal":
        case "Equal":
            return value == taint.value
        case "Exists":
            return True
        case "Lt":
            return _is_less(taint.value, value)
        case "Gt":
            return _is_less(value, taint.value)
        case _:
            return False


def _is_less(first: str, second: str) -> bool:
    if not (_INTEGER.fullmatch(first) and _INTEGER.fullmatch(second)):
        return False
    numbers = int(first), int(second)
    return all(each in _INT64 for each in numbers) and numbers[0] < numbers[1]
