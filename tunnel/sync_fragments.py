"""Fragments of the sync stream: ``length ‖ flags ‖ payload``, several of them one message.

A large object is cut, so that it does not block what is urgent for longer than one fragment takes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tunnel.errors import SyncError
from tunnel.sync import MAX_MESSAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

# One whole fragment, header included.
MAX_FRAGMENT_BYTES = 64 << 10
_HEADER = struct.Struct(">IB")
_MORE = 0x01


def encode_fragments(payload: bytes) -> Iterator[bytes]:
    """Cut a message into fragments of at most MAX_FRAGMENT_BYTES, 5 bytes of header included."""
    room = MAX_FRAGMENT_BYTES - _HEADER.size
    for start in range(0, max(len(payload), 1), room):
        part = payload[start : start + room]
        more = _MORE if start + room < len(payload) else 0
        yield _HEADER.pack(len(part), more) + part


class FragmentReader:
    """Put fragments together again, whatever the boundaries of the reads were.

    Holds at most one message of MAX_MESSAGE_BYTES and one fragment.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._message = bytearray()

    @property
    def is_empty(self) -> bool:
        """Whether the stream may end here without tearing a message."""
        return not self._buffer and not self._message

    def receive_data(self, data: bytes) -> list[bytes]:
        """Take bytes as they came and return the messages that they completed, in order.

        Raises:
            SyncError: A fragment or message is longer than allowed, or a flag is unknown.
        """
        self._buffer += data
        messages: list[bytes] = []
        start = 0
        while len(self._buffer) >= start + _HEADER.size:
            length, flags = _HEADER.unpack_from(self._buffer, start)
            self._check(length, flags)
            end = start + _HEADER.size + length
            if len(self._buffer) < end:
                break
            self._message += self._buffer[start + _HEADER.size : end]
            start = end
            if not flags & _MORE:
                messages.append(bytes(self._message))
                self._message.clear()
        # Once, and not per fragment: there may be thousands of small ones.
        del self._buffer[:start]
        return messages

    def _check(self, length: int, flags: int) -> None:
        if length > MAX_FRAGMENT_BYTES - _HEADER.size:
            raise SyncError(
                f"sync fragment of {length} bytes, at most {MAX_FRAGMENT_BYTES} are allowed"
            )
        if flags & ~_MORE:
            raise SyncError(f"sync fragment with unknown flags {flags:#x}")
        if flags & _MORE and not length:
            raise SyncError("sync fragment that is empty, and not the last")
        if len(self._message) + length > MAX_MESSAGE_BYTES:
            raise SyncError(f"sync message of more than {MAX_MESSAGE_BYTES} bytes")
