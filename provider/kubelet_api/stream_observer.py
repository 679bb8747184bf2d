"""What a relayed exec, attach or port-forward connection must be told when its stream is lost.

The bytes of such a connection pass through the provider as they are. But kubectl takes a connection
that just ends for a command that succeeded: its error stream is empty then, and empty means "exit
status 0". So the frames are followed, the error streams are known, and when the tunnel's stream is
lost each of them gets the message in the form that the negotiated subprotocol gives to errors.

Source: k8s.io/client-go tools/remotecommand/{v1,v4}.go and errorstream.go (an error stream without
    bytes is success); k8s.io/cri-streaming pkg/streaming/remotecommand/httpstream.go
    (v4WriteStatusFunc, v1WriteStatusFunc).
"""

from __future__ import annotations

import enum
import json
from typing import Protocol

from provider.kubelet_api.spdy_observer import SpdyObserver
from provider.kubelet_api.websocket_observer import WebSocketObserver

# The subprotocols in which the error stream carries a metav1.Status, and always one, also for
# success.
_STATUS_SUBPROTOCOLS = frozenset(
    {"v4.channel.k8s.io", "v5.channel.k8s.io", "v4.base64.channel.k8s.io"}
)
_WEBSOCKET_SUBPROTOCOLS = frozenset(
    {"", "channel.k8s.io", "base64.channel.k8s.io"} | _STATUS_SUBPROTOCOLS
)


class CallKind(enum.Enum):
    """The calls that take a connection over."""

    EXEC = "exec"
    ATTACH = "attach"
    PORT_FORWARD = "portForward"


class Framing(Protocol):
    """One connection's frames, followed: ``SpdyObserver`` or ``WebSocketObserver``."""

    @property
    def is_torn(self) -> bool:
        """Whether the server stopped inside a frame."""

    def client_data(self, data: bytes) -> None:
        """Follow bytes of the client."""

    def server_data(self, data: bytes) -> bytes:
        """Take bytes of the server, return those that may pass."""

    def lost(self, payload: bytes) -> bytes | None:
        """Return what tells every open error stream of the loss; None when only a reset is left."""


class _Unobserved:
    """A connection whose protocol is not known: it passes as it is, and a loss resets it."""

    is_torn = False

    def client_data(self, data: bytes) -> None:
        """Learn nothing."""

    def server_data(self, data: bytes) -> bytes:
        """Pass everything."""
        return data

    def lost(self, payload: bytes) -> bytes | None:
        """Leave only a reset."""
        del payload
        return None


class StreamObserver:
    """Observe one relayed connection.

    Bytes of the server go to the client in whole frames, up to 64 KiB are held for that; bytes of
    the client pass untouched. Whatever the bytes are, no method raises.
    """

    def __init__(self, framing: Framing, *, has_status: bool) -> None:
        self._framing = framing
        self._has_status = has_status

    def client_data(self, data: bytes) -> None:
        """Follow bytes that the client sent."""
        self._framing.client_data(data)

    def server_data(self, data: bytes) -> bytes:
        """Take bytes that the server sent and return those that may go to the client now."""
        return self._framing.server_data(data)

    def server_lost(self, message: str) -> bytes | None:
        """Return the last bytes for the client after the stream was lost.

        Args:
            message: For the person who waits; goes to every error stream that the server has not
                ended itself.

        Returns:
            Bytes after which the connection is closed, perhaps none; None when nothing can be said
            in the connection's protocol any more and it must be reset.
        """
        return self._framing.lost(self._encode(message))

    def server_ended(self, message: str) -> bytes | None:
        """Return the last bytes for the client after the server ended its side in good order.

        Where the subprotocol reports success too, an end without any report, or inside a frame, is
        a loss. Elsewhere an empty error stream is how success looks.

        Args:
            message: As in ``server_lost``.

        Returns:
            As ``server_lost``.
        """
        if self._has_status or self._framing.is_torn:
            return self.server_lost(message)
        return b""

    def _encode(self, message: str) -> bytes:
        if not self._has_status:
            return message.encode()
        status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": "InternalError",
            "code": 500,
        }
        return json.dumps(status).encode()


def observe(*, kind: CallKind, upgrade: str, subprotocol: str) -> StreamObserver:
    """Return the observer for a connection that was just upgraded.

    Args:
        kind: The call that it serves.
        upgrade: The Upgrade token, ``SPDY/3.1`` or ``websocket`` in any case.
        subprotocol: What the server chose: ``X-Stream-Protocol-Version`` or
            ``Sec-WebSocket-Protocol``, or empty.
    """
    is_port_forward = kind is CallKind.PORT_FORWARD
    has_status = not is_port_forward and subprotocol in _STATUS_SUBPROTOCOLS
    framing: Framing = _Unobserved()
    if upgrade.lower() == "spdy/3.1":
        framing = SpdyObserver()
    elif upgrade.lower() == "websocket" and subprotocol in _WEBSOCKET_SUBPROTOCOLS:
        is_base64 = "base64" in subprotocol
        framing = WebSocketObserver(is_base64=is_base64, is_port_forward=is_port_forward)
    return StreamObserver(framing, has_status=has_status)
