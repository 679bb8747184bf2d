"""The message of a loss has the form that the negotiated subprotocol gives to errors."""

from __future__ import annotations

import json
import struct

import pytest

from provider.kubelet_api.stream_observer import CallKind, StreamObserver, observe
from tests.fakes import spdy

MESSAGE = "edgelet: the link to site-a was lost; the command may still be running"
STATUS = {
    "kind": "Status",
    "apiVersion": "v1",
    "metadata": {},
    "status": "Failure",
    "message": MESSAGE,
    "reason": "InternalError",
    "code": 500,
}
SPDY = "SPDY/3.1"


def spdy_call(kind: CallKind, subprotocol: str) -> StreamObserver:
    """Observe a SPDY call whose error stream is number 1."""
    observer = observe(kind=kind, upgrade=SPDY, subprotocol=subprotocol)
    observer.client_data(spdy.HeaderWriter().syn_stream(1, {"streamtype": "error"}))
    return observer


@pytest.mark.parametrize("kind", [CallKind.EXEC, CallKind.ATTACH])
@pytest.mark.parametrize("subprotocol", ["v4.channel.k8s.io", "v5.channel.k8s.io"])
def test_newer_subprotocols_get_a_status(kind: CallKind, subprotocol: str) -> None:
    """From v4 on the error stream carries a metav1.Status."""
    last = spdy_call(kind, subprotocol).server_lost(MESSAGE)
    assert last is not None
    assert json.loads(spdy.stream_bytes(last, 1)) == STATUS


@pytest.mark.parametrize(
    ("kind", "subprotocol"),
    [
        (CallKind.EXEC, ""),
        (CallKind.EXEC, "channel.k8s.io"),
        (CallKind.EXEC, "v2.channel.k8s.io"),
        (CallKind.EXEC, "v3.channel.k8s.io"),
        (CallKind.PORT_FORWARD, "portforward.k8s.io"),
        (CallKind.PORT_FORWARD, "v4.channel.k8s.io"),
    ],
)
def test_older_subprotocols_and_port_forward_get_text(kind: CallKind, subprotocol: str) -> None:
    """Before v4, and always for port-forward, an error is a text."""
    last = spdy_call(kind, subprotocol).server_lost(MESSAGE)
    assert last is not None
    assert spdy.stream_bytes(last, 1) == MESSAGE.encode()


@pytest.mark.parametrize(
    ("subprotocol", "content"),
    [
        ("v4.channel.k8s.io", json.dumps(STATUS).encode()),
        ("channel.k8s.io", MESSAGE.encode()),
        ("", MESSAGE.encode()),
    ],
)
def test_websocket_subprotocols(subprotocol: str, content: bytes) -> None:
    """Channel 3 gets the same forms."""
    observer = observe(kind=CallKind.EXEC, upgrade="websocket", subprotocol=subprotocol)
    last = observer.server_lost(MESSAGE)
    assert last is not None
    assert b"\x03" + content in last


def test_websocket_port_forward_is_told_in_text() -> None:
    """Error channels of a port-forward are those that were announced."""
    observer = observe(
        kind=CallKind.PORT_FORWARD, upgrade="websocket", subprotocol="v4.channel.k8s.io"
    )
    observer.server_data(b"\x82\x03\x01" + struct.pack("<H", 80))
    last = observer.server_lost(MESSAGE)
    assert last is not None
    assert b"\x01" + MESSAGE.encode() in last


@pytest.mark.parametrize(
    ("upgrade", "subprotocol"),
    [("websocket", "SPDY/3.1+portforward.k8s.io"), ("h2c", ""), ("websocket", "chat")],
)
def test_an_unknown_protocol_passes_and_is_reset(upgrade: str, subprotocol: str) -> None:
    """In a protocol that is not known nothing can be said."""
    observer = observe(kind=CallKind.EXEC, upgrade=upgrade, subprotocol=subprotocol)
    observer.client_data(b"anything")
    assert observer.server_data(b"anything") == b"anything"
    assert observer.server_lost(MESSAGE) is None
    assert observer.server_ended(MESSAGE) == b""


def test_an_end_without_a_result_is_a_loss_where_success_is_reported_too() -> None:
    """A runtime that dies closes the connection without a Status: that is no success."""
    last = spdy_call(CallKind.EXEC, "v4.channel.k8s.io").server_ended(MESSAGE)
    assert last is not None
    assert json.loads(spdy.stream_bytes(last, 1)) == STATUS


def test_an_end_after_a_result_is_the_end() -> None:
    """The true exit code stays alone on the error stream."""
    observer = spdy_call(CallKind.EXEC, "v4.channel.k8s.io")
    observer.server_data(spdy.data_frame(1, b'{"status":"Success"}'))
    assert observer.server_ended(MESSAGE) == b""


def test_an_end_without_a_result_is_success_in_older_subprotocols() -> None:
    """There an empty error stream is how success looks."""
    assert spdy_call(CallKind.EXEC, "").server_ended(MESSAGE) == b""


def test_an_end_inside_a_frame_is_a_loss() -> None:
    """A torn frame is no end in good order, in no subprotocol."""
    observer = spdy_call(CallKind.EXEC, "")
    observer.server_data(spdy.data_frame(5, b"torn")[:-1])
    last = observer.server_ended(MESSAGE)
    assert last is not None
    assert spdy.stream_bytes(last, 1) == MESSAGE.encode()
