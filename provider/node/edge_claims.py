"""What an edge may say of its Node: its machine, in numbers that can be, and nothing else. Pure.

Labels, taints and addresses of the Node are not in a NodeReport at all. What is in it is checked as
far as a wrong value would make the API server refuse the whole Node, or mislead its reader.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from provider.node.quantity import parse_quantity
from provider.telemetry.plain_text import plain_json, plain_line, plain_text
from tunnel.errors import SyncError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunnel.sync import NodeReport

Json = dict[str, Any]

# 50 images with 5 names each are some 75 KiB.
MAX_REPORT_BYTES: Final = 512 << 10
MAX_RESOURCES: Final = 64
# A quantity is held in 64 bits (apimachinery pkg/api/resource/quantity.go).
MAX_AMOUNT: Final = (1 << 63) - 1
MAX_CONDITION_CHARACTERS: Final = 1024
# The kubelet's own, which alone a node speaks for (pkg/kubelet/nodestatus/setters.go).
_CONDITIONS = frozenset({"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"})
# Those that a node has by itself. One that changes how the API server speaks to its kubelet
# (ExtendWebSocketsToKubelet) is the provider's to declare, not the edge's.
_DECLARED_FEATURES = frozenset({"RestartAllContainersOnContainerExits"})
_STATUSES = ("True", "False", "Unknown")
# k8s.io/apimachinery validation IsQualifiedName, in short.
_RESOURCE = re.compile(r"(?:[a-z0-9][a-z0-9.-]{0,252}/)?[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
# Both become labels.
_PLATFORM = re.compile(r"[a-z0-9][a-z0-9_]{0,31}")


def believed_report(report: NodeReport) -> NodeReport:
    """Return a report as it may be written to the Node.

    Conditions that are not a kubelet's are left out: others own them. So are declared features
    that no edge may have.

    Raises:
        SyncError: It is too large, or a value cannot be.
    """
    if len(msgspec.json.encode(report)) > MAX_REPORT_BYTES:
        raise SyncError(f"a NodeReport has more than {MAX_REPORT_BYTES} bytes")
    for resources in (report.capacity, report.allocatable):
        _check_resources(resources)
    try:
        fields = {
            name: plain_json(getattr(report, name))
            for name in ("node_info", "runtime_handlers", "features", "images", "volumes_in_use")
        }
    except ValueError as exc:
        raise SyncError(f"a NodeReport is none: {exc}") from exc
    _check_node_info(fields["node_info"])
    return msgspec.structs.replace(
        report,
        **fields,
        declared_features=sorted(_DECLARED_FEATURES & {*report.declared_features}),
        conditions=[*filter(None, map(_condition, report.conditions))],
    )


def _check_resources(resources: Mapping[str, str]) -> None:
    if len(resources) > MAX_RESOURCES:
        raise SyncError(f"a NodeReport has more than {MAX_RESOURCES} resources")
    for name, quantity in resources.items():
        amount = parse_quantity(quantity)
        if not _RESOURCE.fullmatch(name) or amount is None or not 0 <= amount <= MAX_AMOUNT:
            shown = f"{name[:64]!a}: {quantity[:64]!a}"
            raise SyncError(f"a NodeReport has a resource that cannot be, {shown}")


def _check_node_info(node_info: Json) -> None:
    if not all(isinstance(value, str | dict) for value in node_info.values()):
        raise SyncError("a NodeReport has a nodeInfo that is none")
    for key in ("operatingSystem", "architecture"):
        value = node_info.get(key, "")
        if not isinstance(value, str) or (value and not _PLATFORM.fullmatch(value)):
            raise SyncError(f"a NodeReport has no {key} that can be")


def _condition(condition: Json) -> Json | None:
    kind, status = condition.get("type"), condition.get("status")
    if not isinstance(kind, str) or not isinstance(status, str):
        raise SyncError("a NodeReport holds a condition without type or status")
    if kind not in _CONDITIONS:
        return None
    if status not in _STATUSES:
        raise SyncError(f"a NodeReport holds a condition {kind} that is {status[:64]!a}")
    reason = plain_line(str(condition.get("reason") or ""), max_characters=128)
    message = plain_text(
        str(condition.get("message") or ""), max_characters=MAX_CONDITION_CHARACTERS
    )
    said = {"reason": reason, "message": message}
    return {"type": kind, "status": status} | {key: text for key, text in said.items() if text}
