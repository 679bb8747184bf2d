"""Messages of the sync stream.

A message is one JSON object with a ``type``; on the stream it travels in fragments
(``tunnel/sync_fragments.py``). Fields that a reader does not know are ignored, types that it does
not know are refused: a newer peer may add the former, and must not rely on the latter.

Pods and objects stay plain JSON (``dict``), so that no field is lost on the way. Keys of the fields
are snake_case; what is inside ``pod``, ``object`` and ``status`` is the Kubernetes API's own JSON.
"""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

import msgspec

from tunnel.errors import SyncError

SYNC_PROTOCOL = "edgelet.sync.v1"
SYNC_PATH = "/sync"
# A Secret of 1 MiB is up to 4 MiB as JSON with base64 and managed fields; twice that leaves room.
MAX_MESSAGE_BYTES = 8 << 20

Json = dict[str, Any]
_M = TypeVar("_M")


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all messages; the tag is the class's name."""


# edge -> provider


class StatusDigest(msgspec.Struct, frozen=True, kw_only=True):
    """What the edge holds of a pod's status, without the body.

    Attributes:
        sequence: Counts up per pod UID; never goes back within one instance of the edge's store.
        hash: Hex digest of the status; equal digests mean equal statuses.
    """

    sequence: int
    hash: str


class Hello(_Message, tag="Hello", frozen=True, kw_only=True):
    """The edge's first message on every sync stream: all that it holds.

    Attributes:
        protocol: Version of these messages; 1.
        version: edgelet's own version.
        instance_id: Random per start of the edge process.
        boot_id: The kernel's, changes with each reboot.
        pods: Pod UID to the revision that the edge has persisted. Pods that are gone are not
            listed.
        objects: ``object_key`` to revision.
        tokens: Token key to expiry (RFC 3339).
        services: Namespace to the revision of the ServicesPut that the edge has persisted.
        statuses: Pod UID to what the edge holds of its status.
    """

    protocol: int
    version: str
    instance_id: str
    boot_id: str
    pods: dict[str, str]
    statuses: dict[str, StatusDigest]
    objects: dict[str, str] = {}
    tokens: dict[str, str] = {}
    services: dict[str, str] = {}


class NodeReport(_Message, tag="NodeReport", frozen=True, kw_only=True):
    """What the machine is and how it does; every field is the Node API's own JSON.

    Attributes:
        capacity: Resource name to quantity (``status.capacity``).
        allocatable: Resource name to quantity (``status.allocatable``).
        conditions: Node conditions without heartbeat times, Ready last.
        node_info: ``status.nodeInfo``.
        runtime_handlers: ``status.runtimeHandlers``.
        features: ``status.features``.
        declared_features: ``status.declaredFeatures``, sorted.
        images: ``status.images``, at most 50, the largest first.
        volumes_in_use: ``status.volumesInUse``.
        host_addresses: The machine's own addresses, not the Node's.
    """

    capacity: dict[str, str]
    allocatable: dict[str, str]
    conditions: list[Json]
    node_info: Json
    runtime_handlers: list[Json] = []
    features: Json = {}
    declared_features: list[str] = []
    images: list[Json] = []
    volumes_in_use: list[str] = []
    host_addresses: list[str] = []


class PodStatus(_Message, tag="PodStatus", frozen=True, kw_only=True):
    """The newest status of one pod, persisted on the edge BEFORE it is sent."""

    uid: str
    sequence: int
    status: Json


class PodGone(_Message, tag="PodGone", frozen=True, kw_only=True):
    """Nothing of the pod runs or will run again on the edge; persisted BEFORE it is sent.

    Sent again on every connect until the provider forgets the pod. ``sequence`` is that of the last
    status, 0 when the edge never knew the pod.
    """

    uid: str
    sequence: int


class TokenWant(_Message, tag="TokenWant", frozen=True, kw_only=True):
    """Ask for a service account token bound to a pod."""

    pod_uid: str
    service_account: str
    audiences: list[str]
    expiry_s: int


class EventReport(_Message, tag="EventReport", frozen=True, kw_only=True):
    """One event to record in the API.

    Attributes:
        id: Unique per event and edge; the same id is the same event, updated.
        regarding: ``involvedObject`` of the Event.
        event_type: ``Normal`` or ``Warning``.
        count: How often it happened so far.
        first_timestamp: RFC 3339, UTC.
        last_timestamp: RFC 3339, UTC.
    """

    id: str
    regarding: Json
    event_type: str
    reason: str
    message: str
    count: int
    first_timestamp: str
    last_timestamp: str


class Ack(_Message, tag="Ack", frozen=True, kw_only=True):
    """The edge persisted this revision; the key is a pod's UID or an ``object_key``."""

    key: str
    revision: str


# provider -> edge


class NodePut(_Message, tag="NodePut", frozen=True, kw_only=True):
    """The parts of the Node that the edge needs."""

    revision: str
    name: str
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    taints: list[Json] = []
    pod_cidrs: list[str] = []


class ServicesPut(_Message, tag="ServicesPut", frozen=True, kw_only=True):
    """The Services of one namespace, as far as containers' environments name them.

    Attributes:
        services: Those with a cluster IP, by name, each with ``metadata.namespace``,
            ``metadata.name``, ``spec.clusterIP`` and ``spec.ports`` and nothing else. Of
            ``default`` only ``kubernetes`` as long as no pod of the site is in it.
        complete: The provider's own list was. Without it the list is empty, no pod of the site is
            in the namespace any more, and the edge forgets what it knows of its Services.
        revision: Hash of the services; Hello names it, and what the edge has is not sent again.
    """

    namespace: str
    services: list[Json]
    complete: bool
    revision: str = ""


class Desired(_Message, tag="Desired", frozen=True, kw_only=True):
    """All pods of the site, UID to revision.

    Only ``complete=True``, sent after the provider's own list from the API server was complete, may
    make the edge forget a pod because of its absence.
    """

    pods: dict[str, str]
    complete: bool


class PodPut(_Message, tag="PodPut", frozen=True, kw_only=True):
    """A pod as desired: metadata, spec, foreign conditions; with deletionTimestamp it is to end.

    ``status`` inside ``pod`` is the API's stored one only where the edge did not know the UID; else
    the key holds at most the conditions that the edge does not own.
    """

    uid: str
    revision: str
    pod: Json


class PodForget(_Message, tag="PodForget", frozen=True, kw_only=True):
    """The object vanished from the API: stop what runs with grace 1, then forget all of it."""

    uid: str


class ObjectPut(_Message, tag="ObjectPut", frozen=True, kw_only=True):
    """One object that pods refer to; ``object`` is None when the API server said 404."""

    kind: str
    namespace: str
    name: str
    revision: str
    object: Json | None


class ObjectForget(_Message, tag="ObjectForget", frozen=True, kw_only=True):
    """No pod of the site refers to the object any more: the edge keeps it no longer."""

    kind: str
    namespace: str
    name: str


class TokenPut(_Message, tag="TokenPut", frozen=True, kw_only=True):
    """The answer to a TokenWant: a service account token, or why there is none.

    Attributes:
        key: ``token_key`` of what was wanted.
        token: "" where the API server refused; then the edge keeps the one it has.
        expiry: RFC 3339; "" without a token.
        issued_at: RFC 3339, when the API server made it; "" without a token.
        error: The API server's own words, "" with a token.
    """

    key: str
    token: str = ""
    expiry: str = ""
    issued_at: str = ""
    error: str = ""


class StatusAck(_Message, tag="StatusAck", frozen=True, kw_only=True):
    """The API server holds the status of this sequence, or will never need it."""

    uid: str
    sequence: int


class StatusWant(_Message, tag="StatusWant", frozen=True, kw_only=True):
    """The provider does not hold the body of the status that Hello announced: send it."""

    uid: str


class EventAck(_Message, tag="EventAck", frozen=True, kw_only=True):
    """The event is recorded and need not be kept."""

    id: str


FromEdge = Hello | NodeReport | PodStatus | PodGone | TokenWant | EventReport | Ack
FromProvider = (
    NodePut
    | ServicesPut
    | Desired
    | PodPut
    | PodForget
    | ObjectPut
    | ObjectForget
    | TokenPut
    | StatusAck
    | StatusWant
    | EventAck
)
Message = FromEdge | FromProvider

_encoder = msgspec.json.Encoder()
_canonical = msgspec.json.Encoder(order="sorted")
_from_edge: msgspec.json.Decoder[FromEdge] = msgspec.json.Decoder(FromEdge)
_from_provider: msgspec.json.Decoder[FromProvider] = msgspec.json.Decoder(FromProvider)


def object_key(*, kind: str, namespace: str, name: str) -> str:
    """Return the name of an object in Hello and Ack; the namespace is "" for cluster-wide kinds."""
    return f"{kind}/{namespace}/{name}"


def token_key(want: TokenWant) -> str:
    """Return the name of a token in Hello and TokenPut: what was wanted, in full.

    The order of audiences is the pod's own; it matters to nobody but is part of the name.
    """
    return f"{want.pod_uid}/{want.service_account}/{want.expiry_s}/{','.join(want.audiences)}"


def compute_status_hash(status: Json) -> str:
    """Return the digest of ``StatusDigest``: hex of BLAKE2b-128 over the JSON with sorted keys.

    Both ends compute it, so it is part of the protocol.
    """
    return hashlib.blake2b(_canonical.encode(status), digest_size=16).hexdigest()


def encode_message(message: Message) -> bytes:
    """Encode one message as JSON.

    Raises:
        SyncError: It is larger than MAX_MESSAGE_BYTES.
    """
    payload = _encoder.encode(message)
    if len(payload) > MAX_MESSAGE_BYTES:
        raise SyncError(
            f"sync message {type(message).__name__} has {len(payload)} bytes, "
            f"at most {MAX_MESSAGE_BYTES} are allowed"
        )
    return payload


def decode_from_edge(payload: bytes) -> FromEdge:
    """Decode a message that an edge sent.

    Raises:
        SyncError: It is no JSON, of an unknown type, or a field has the wrong type.
    """
    return _decode(_from_edge, payload)


def decode_from_provider(payload: bytes) -> FromProvider:
    """Decode a message that the provider sent.

    Raises:
        SyncError: It is no JSON, of an unknown type, or a field has the wrong type.
    """
    return _decode(_from_provider, payload)


def _decode(decoder: msgspec.json.Decoder[_M], payload: bytes) -> _M:
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
        # The text may hold what the peer wrote.
        raise SyncError(f"sync message refused: {str(exc)[:200]!a}") from exc
