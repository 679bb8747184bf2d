"""What the edge is told of objects and Services, and the revisions that name them. Pure.

Only what the edge acts on travels, and only that makes a revision: an annotation that somebody
changes, or a field's bookkeeping, sends nothing down again. What ``kubectl apply`` keeps in an
annotation would bring every Secret's content a second time.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from provider.pods.references import CONFIG_MAP, KINDS, SECRET
from tunnel.sync import MAX_MESSAGE_BYTES, ObjectPut, ServicesPut

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from provider.pods.references import ObjectRef

Json = dict[str, Any]

MISSING_REVISION: Final = "missing"
# Each Service makes longer variables, in every container of its namespace, than it is itself here;
# Linux starts no process with 2 MiB of them.
MAX_SERVICES_BYTES: Final = 4 << 20
# What the rest of a message may take.
_ENVELOPE_BYTES = 64 << 10
_NOISE = frozenset({"managedFields", "resourceVersion", "selfLink", "generation"})
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# Of these kinds the edge reads the contents, and which object it is.
_CONTENTS: Final[Mapping[str, tuple[str, ...]]] = {
    CONFIG_MAP: ("data", "binaryData", "immutable"),
    SECRET: ("type", "data", "immutable"),
}
_PORT_FIELDS = ("name", "protocol", "port")
_encoder = msgspec.json.Encoder(order="sorted")


def compute_object_put(ref: ObjectRef, found: Json | None) -> ObjectPut | None:
    """Return the message that brings an object to the edge, None if it is too large for one.

    The revision is a hash of what travels: a restored etcd may use a resource version twice.

    Args:
        ref: Which object.
        found: As the API server has it; None when it says that there is none.
    """
    if found is None:
        body, revision = None, MISSING_REVISION
    else:
        body = _body(ref, found)
        encoded = _encoder.encode(body)
        if len(encoded) > MAX_MESSAGE_BYTES - _ENVELOPE_BYTES:
            return None
        revision = _digest(encoded)
    return ObjectPut(
        kind=ref.kind, namespace=ref.namespace, name=ref.name, revision=revision, object=body
    )


def compute_services_put(namespace: str, services: Iterable[Json]) -> ServicesPut:
    """Return the message that brings a namespace's Services to the edge: those with a cluster IP.

    Beyond MAX_SERVICES_BYTES the rest, by name, is left out.
    """
    told: list[Json] = []
    room_bytes = MAX_SERVICES_BYTES
    for service in sorted(map(_service, filter(_has_cluster_ip, services)), key=_name):
        room_bytes -= len(_encoder.encode(service))
        if room_bytes < 0:
            break
        told.append(service)
    return ServicesPut(
        namespace=namespace,
        services=told,
        complete=True,
        revision=_digest(_encoder.encode(told)),
    )


def _body(ref: ObjectRef, found: Json) -> Json:
    # Items of a list name neither.
    names = {"apiVersion": KINDS[ref.kind].api_version, "kind": ref.kind}
    if contents := _CONTENTS.get(ref.kind):
        kept = {key: found[key] for key in contents if found.get(key) is not None}
        identity = ("namespace", "name", "uid")
        metadata = {key: found["metadata"][key] for key in identity if key in found["metadata"]}
        return {**names, "metadata": metadata, **kept}
    metadata = {key: each for key, each in found["metadata"].items() if key not in _NOISE}
    if annotations := metadata.get("annotations"):
        metadata["annotations"] = {k: v for k, v in annotations.items() if k != _APPLIED}
    return {**found, **names, "metadata": metadata}


def _has_cluster_ip(service: Json) -> bool:
    """Source: kubernetes pkg/apis/core/v1/helper/helpers.go ``IsServiceIPSet``."""
    return (service.get("spec") or {}).get("clusterIP") not in {None, "", "None"}


def _service(service: Json) -> Json:
    """Source: kubernetes pkg/kubelet/envvars/envvars.go, what ``FromServices`` reads."""
    metadata, spec = service["metadata"], service["spec"]
    ports = [
        {key: port[key] for key in _PORT_FIELDS if port.get(key)}
        for port in spec.get("ports") or ()
    ]
    return {
        "metadata": {key: metadata[key] for key in ("namespace", "name") if key in metadata},
        "spec": {"clusterIP": spec["clusterIP"], "ports": ports},
    }


def _name(service: Json) -> str:
    return str(service["metadata"]["name"])


def _digest(encoded: bytes) -> str:
    return hashlib.blake2b(encoded, digest_size=16).hexdigest()
