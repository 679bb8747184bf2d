"""Messages of the sync stream."""

from __future__ import annotations

import msgspec
import pytest

from tunnel import sync
from tunnel.errors import SyncError

POD = {"metadata": {"name": "p", "uid": "u", "x": [1, None, "ä"]}, "spec": {"unknown": 1.5}}
FROM_EDGE: list[sync.FromEdge] = [
    sync.Hello(
        protocol=1,
        version="0.1.0",
        instance_id="i",
        boot_id="b",
        pods={"u": "r"},
        statuses={"u": sync.StatusDigest(sequence=3, hash="ff")},
    ),
    sync.NodeReport(
        capacity={"cpu": "2"},
        allocatable={"cpu": "2"},
        conditions=[{"type": "Ready", "status": "True"}],
        node_info={"kernelVersion": "6"},
        host_addresses=["10.0.0.1"],
    ),
    sync.PodStatus(uid="u", sequence=4, status={"phase": "Running"}),
    sync.PodGone(uid="u", sequence=0),
    sync.TokenWant(pod_uid="u", service_account="s", audiences=["a"], expiry_s=600),
    sync.EventReport(
        id="e",
        regarding={"kind": "Pod"},
        event_type="Normal",
        reason="Started",
        message="m",
        count=1,
        first_timestamp="2026-01-01T00:00:00Z",
        last_timestamp="2026-01-01T00:00:00Z",
    ),
    sync.Ack(key="u", revision="r"),
]
FROM_PROVIDER: list[sync.FromProvider] = [
    sync.NodePut(revision="r", name="site-a", labels={"a": "b"}),
    sync.ServicesPut(namespace="n", services=[{"metadata": {}}], complete=True),
    sync.Desired(pods={"u": "r"}, complete=True),
    sync.PodPut(uid="u", revision="r", pod=POD),
    sync.PodForget(uid="u"),
    sync.ObjectPut(kind="Secret", namespace="n", name="s", revision="r", object=None),
    sync.TokenPut(key="k", token="t", expiry="2026-01-01T00:00:00Z"),
    sync.StatusAck(uid="u", sequence=4),
    sync.StatusWant(uid="u"),
    sync.EventAck(id="e"),
]


@pytest.mark.parametrize("message", FROM_EDGE, ids=lambda message: type(message).__name__)
def test_what_an_edge_sends_is_read(message: sync.FromEdge) -> None:
    """Every type survives, and a provider's decoder refuses it."""
    payload = sync.encode_message(message)
    assert sync.decode_from_edge(payload) == message
    if not isinstance(message, sync.Ack):
        with pytest.raises(SyncError):
            sync.decode_from_provider(payload)


@pytest.mark.parametrize("message", FROM_PROVIDER, ids=lambda message: type(message).__name__)
def test_what_a_provider_sends_is_read(message: sync.FromProvider) -> None:
    """Every type survives, and an edge's decoder refuses it."""
    payload = sync.encode_message(message)
    assert sync.decode_from_provider(payload) == message
    with pytest.raises(SyncError):
        sync.decode_from_edge(payload)


def test_unknown_fields_are_ignored() -> None:
    """A newer peer may say more."""
    payload = msgspec.json.encode({"type": "StatusWant", "uid": "u", "later": {"x": 1}})
    assert sync.decode_from_provider(payload) == sync.StatusWant(uid="u")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b"{}",
        b'{"type":"Nonsense"}',
        b'{"type":"StatusWant"}',
        b'{"type":"StatusWant","uid":1}',
        b'{"type":"StatusAck","uid":"u","sequence":"1"}',
        b'{"type":"StatusWant","uid":"\xff"}',
        b'{"type":"PodPut","uid":"u","revision":"r","pod":' + b"[" * 100_000,
    ],
)
def test_nonsense_is_refused_by_name(payload: bytes) -> None:
    """Whatever is wrong, it is a SyncError."""
    with pytest.raises(SyncError, match="refused"):
        sync.decode_from_provider(payload)


def test_oversized_message_is_not_encoded() -> None:
    """The sender learns it, not the peer."""
    pod = {"data": "x" * sync.MAX_MESSAGE_BYTES}
    with pytest.raises(SyncError, match="PodPut"):
        sync.encode_message(sync.PodPut(uid="u", revision="r", pod=pod))


def test_equal_statuses_have_equal_hashes() -> None:
    """The order of keys does not matter, the values do."""
    one = sync.compute_status_hash({"a": 1, "b": {"c": 2, "d": 3}})
    assert one == sync.compute_status_hash({"b": {"d": 3, "c": 2}, "a": 1})
    assert one != sync.compute_status_hash({"a": 1, "b": {"c": 2, "d": 4}})
    assert len(bytes.fromhex(one)) == 16
