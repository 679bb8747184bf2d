"""What the Node should be, and the patches that make it so. Pure: the time is an argument.

Conditions, in this order: those that the edge reports except Ready, EdgeletTunnelReady, Ready.
Others (a CNI's NetworkUnavailable) stay where they are.

Source: pkg/kubelet/kubelet_node_status.go, nodestatus/setters.go; component-helpers/node/util/
status.go, preparePatchBytesforNodeStatus (addresses are replaced, not merged).
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from provider.node.quantity import parse_quantity
from tunnel.sync import NodePut

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tunnel.sync import NodeReport

Json = dict[str, Any]

TAINT_KEY: Final = "edgelet.dev/site"
TUNNEL_CONDITION: Final = "EdgeletTunnelReady"
ROLE_LABELS: Final = ("node-role.kubernetes.io/agent", "node-role.kubernetes.io/edge")
_ATTACH_ANNOTATION = "volumes.kubernetes.io/controller-managed-attach-detach"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings:
    """The parts of the Node that the provider decides.

    Attributes:
        name: The site's name.
        address: The only published address, InternalIP: the provider's own.
        kubelet_port: Where the provider serves the kubelet API.
        kubelet_version: The Kubernetes version that the node claims, as "v1.36.3".
        register_with_taints: Whether a new Node is tainted with ``edgelet.dev/site``.
    """

    name: str
    address: str
    kubelet_port: int
    kubelet_version: str
    register_with_taints: bool = True


def build_node(settings: NodeSettings, report: NodeReport, conditions: list[Json]) -> Json:
    """Return the Node to create, status included.

    The role labels are missing: NodeRestriction lets no node set them.
    """
    node: Json = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": settings.name,
            "labels": _labels(settings, report),
            "annotations": {_ATTACH_ANNOTATION: "true"},
        },
        "spec": {"providerID": _provider_id(settings)},
        "status": {**build_status(settings, report), "conditions": conditions},
    }
    if settings.register_with_taints:
        taint = {"key": TAINT_KEY, "value": settings.name, "effect": "NoSchedule"}
        node["spec"]["taints"] = [taint]
    return node


def build_addresses(settings: NodeSettings) -> Json:
    """Return the part of the status that is the provider's own, with or without an edge."""
    return {
        "addresses": [{"type": "InternalIP", "address": settings.address}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": settings.kubelet_port}},
    }


def build_status(settings: NodeSettings, report: NodeReport) -> Json:
    """Return the whole status but its conditions."""
    return {
        **build_addresses(settings),
        "capacity": report.capacity,
        "allocatable": report.allocatable,
        "nodeInfo": {**report.node_info, "kubeletVersion": settings.kubelet_version},
        "images": report.images,
        "runtimeHandlers": report.runtime_handlers,
        "features": report.features,
        "declaredFeatures": report.declared_features,
        "volumesInUse": report.volumes_in_use,
    }


class TunnelReason(enum.StrEnum):
    """Reasons of EdgeletTunnelReady; the first alone means True."""

    CONNECTED = "TunnelConnected"
    INTERRUPTED = "TunnelInterrupted"
    LOST = "TunnelLost"
    PROVIDER_STOPPED = "ProviderStopped"


_TUNNEL_STATES = {
    TunnelReason.CONNECTED: "is connected",
    TunnelReason.INTERRUPTED: "has no connection, and its calls wait for the next one,",
    TunnelReason.LOST: "is offline",
    TunnelReason.PROVIDER_STOPPED: "is not served",
}


def build_tunnel_condition(site: str, reason: TunnelReason, *, since: str, last_error: str) -> Json:
    """Return EdgeletTunnelReady without its times.

    Args:
        site: The site's name.
        reason: What the tunnel's state is.
        since: When this state began, as text.
        last_error: Why there is no connection, or "".
    """
    detail = f" (last error: {last_error})" if last_error else ""
    return {
        "type": TUNNEL_CONDITION,
        "status": "True" if reason is TunnelReason.CONNECTED else "False",
        "reason": str(reason),
        "message": f"site {site} {_TUNNEL_STATES[reason]} since {since}{detail}",
    }


def order_conditions(reported: Iterable[Json], tunnel: Json) -> list[Json]:
    """Put the edge's conditions and the tunnel's into their order: Ready last."""
    others = [condition for condition in reported if condition.get("type") != "Ready"]
    ready = [condition for condition in reported if condition.get("type") == "Ready"]
    return [*others, tunnel, *ready]


def stamp_conditions(live: Json | None, wanted: Iterable[Json], *, now: str) -> list[Json]:
    """Add the times: heartbeat now, transition now only where the status is not the Node's."""
    known = {item.get("type"): item for item in status_of(live).get("conditions") or ()}
    stamped = []
    for condition in wanted:
        before = known.get(condition["type"], {})
        same = before.get("status") == condition["status"]
        transition = (before.get("lastTransitionTime") if same else None) or now
        times = {"lastHeartbeatTime": now, "lastTransitionTime": transition}
        stamped.append({**condition, **times})
    return stamped


def compute_metadata_patch(live: Json, settings: NodeSettings, report: NodeReport) -> Json | None:
    """Return the patch of labels, annotation and providerID, or None when they are right.

    An existing Node is put right, never replaced; its taints are its administrator's.
    """
    metadata, spec = live.get("metadata") or {}, live.get("spec") or {}
    labels = _missing(_labels(settings, report), metadata.get("labels") or {})
    annotations = _missing({_ATTACH_ANNOTATION: "true"}, metadata.get("annotations") or {})
    patch: Json = {}
    if labels or annotations:
        changes = {"labels": labels, "annotations": annotations}
        patch["metadata"] = {key: value for key, value in changes.items() if value}
    if not spec.get("providerID"):
        patch["spec"] = {"providerID": _provider_id(settings)}
    return patch or None


def compute_role_patch(live: Json) -> Json | None:
    """Return the patch of the role labels, or None; only the provider itself may apply it."""
    labels = (live.get("metadata") or {}).get("labels") or {}
    missing = {label: "" for label in ROLE_LABELS if label not in labels}
    return {"metadata": {"labels": missing}} if missing else None


def compute_status_patch(
    live: Json, wanted: Json, conditions: list[Json], *, heartbeat: bool = False
) -> Json | None:
    """Return the strategic-merge patch of the status, or None when nothing differs.

    Args:
        live: The Node as the API holds it.
        wanted: Status fields to bring about; a field that is not in it is left alone.
        conditions: Stamped conditions to bring about, in order.
        heartbeat: Patch the conditions' times even though nothing differs.
    """
    status = status_of(live)
    patch = {
        field: _field_patch(field, status.get(field), value)
        for field, value in wanted.items()
        if not _is_same(field, status.get(field), value)
    }
    if patch or heartbeat or _conditions_differ(status.get("conditions") or (), conditions):
        patch["conditions"] = conditions
        # Without the directive a condition that is new to the Node would come after Ready.
        patch["$setElementOrder/conditions"] = [{"type": item["type"]} for item in conditions]
    return {"status": patch} if patch else None


def compute_node_put(live: Json) -> NodePut:
    """Return what the edge is told of its Node; the revision is a hash of the rest."""
    metadata, spec = live.get("metadata") or {}, live.get("spec") or {}
    put = NodePut(
        revision="",
        name=str(metadata.get("name", "")),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        taints=spec.get("taints") or [],
        pod_cidrs=spec.get("podCIDRs") or [],
    )
    encoded = msgspec.json.encode(put, order="sorted")
    revision = hashlib.blake2b(encoded, digest_size=16).hexdigest()
    return msgspec.structs.replace(put, revision=revision)


def status_of(node: Json | None) -> Json:
    """Return the status of a Node that may not exist yet."""
    status: Json = (node or {}).get("status") or {}
    return status


def condition_status(node: Json | None, kind: str) -> str | None:
    """Return "True", "False" or "Unknown", or None where the Node has no such condition."""
    for condition in status_of(node).get("conditions") or ():
        if condition.get("type") == kind:
            return str(condition.get("status"))
    return None


def _labels(settings: NodeSettings, report: NodeReport) -> dict[str, str]:
    system = str(report.node_info.get("operatingSystem", "linux"))
    architecture = str(report.node_info.get("architecture", ""))
    return {
        "kubernetes.io/hostname": settings.name,
        "kubernetes.io/os": system,
        "kubernetes.io/arch": architecture,
        "beta.kubernetes.io/os": system,
        "beta.kubernetes.io/arch": architecture,
    }


def _provider_id(settings: NodeSettings) -> str:
    return f"edgelet://{settings.name}"


def _missing(wanted: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in wanted.items() if present.get(key) != value}


def _conditions_differ(live: Iterable[Json], wanted: Iterable[Json]) -> bool:
    """Compare all but the times; a condition that is missing differs."""
    compared = ("status", "reason", "message")
    known = {item.get("type"): item for item in live}
    return any(
        (known.get(item["type"], {}).get(key) or "") != (item.get(key) or "")
        for item in wanted
        for key in compared
    )


def _is_same(field: str, live: Any, wanted: Any) -> bool:  # noqa: ANN401 - JSON
    if field in {"capacity", "allocatable"}:
        return not _resources_patch(live or {}, wanted)
    return bool(_trim({field: live}) == _trim({field: wanted}))


def _field_patch(field: str, live: Any, wanted: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the value that makes the API's field the wanted one under strategic merge."""
    if field in {"capacity", "allocatable"}:
        return _resources_patch(live or {}, wanted)
    if field == "addresses":  # merged by type otherwise
        return [{"$patch": "replace"}, *wanted]
    if isinstance(wanted, dict) and isinstance(live, dict):
        return {**dict.fromkeys(live), **wanted}  # objects are merged: null what is no more
    return wanted or None


def _resources_patch(live: Json, wanted: Mapping[str, str]) -> Json:
    """Return the resources to change, null for those to remove.

    The API writes quantities in its own form, so that amounts are compared, not texts. Extended
    resources (with a "/") that the edge does not report may be an administrator's: they stay.
    """
    patch: Json = {}
    for name, quantity in wanted.items():
        amount = parse_quantity(quantity)
        if name not in live or amount is None or amount != parse_quantity(str(live[name])):
            patch[name] = quantity
    gone = {name for name in live if name not in wanted and "/" not in name}
    return patch | dict.fromkeys(sorted(gone))


def _trim(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Drop what the API leaves out of its answers: nulls and empty texts, lists and objects."""
    if isinstance(value, dict):
        trimmed = {key: _trim(item) for key, item in value.items()}
        return {key: item for key, item in trimmed.items() if item not in (None, "", [], {})}
    if isinstance(value, list):
        return [_trim(item) for item in value]
    return value
