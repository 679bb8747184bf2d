"""What the protocol reports of bytes that arrived, as plain values.

``Protocol.receive_data`` returns them in the order in which they happened; the session has one
reaction to each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from tunnel.heads import RequestHead, ResponseHead


class _Event(msgspec.Struct, frozen=True, gc=False):
    """Base of what ``receive_data`` reports."""


class SettingsArrived(_Event, frozen=True):
    """The peer's SETTINGS are in force: window sizes and the number of streams may have changed."""


class RequestArrived(_Event, frozen=True):
    """The client opened a stream."""

    stream_id: int
    head: RequestHead


class ResponseArrived(_Event, frozen=True):
    """The server answered."""

    stream_id: int
    head: ResponseHead


class DataArrived(_Event, frozen=True):
    """Payload of DATA frames; ``credit`` is what they took from the window, with padding.

    The payload may be a view of the message that brought it, and then keeps all of it.
    """

    stream_id: int
    data: bytes | memoryview
    credit: int


class EndArrived(_Event, frozen=True):
    """The peer will send no more on this stream."""

    stream_id: int


class ResetArrived(_Event, frozen=True):
    """The stream is over; ``by_peer`` is False where our own h2 had to reset it."""

    stream_id: int
    error_code: int
    by_peer: bool


class WindowOpened(_Event, frozen=True):
    """More may be sent on this stream; 0 means on the connection."""

    stream_id: int


class PingAnswered(_Event, frozen=True):
    """The answer to our PING with these eight bytes."""

    opaque: bytes


class PeerLeft(_Event, frozen=True):
    """GOAWAY: the last that comes."""

    error_code: int
    reason: str


Event = (
    SettingsArrived
    | RequestArrived
    | ResponseArrived
    | DataArrived
    | EndArrived
    | ResetArrived
    | WindowOpened
    | PingAnswered
    | PeerLeft
)
