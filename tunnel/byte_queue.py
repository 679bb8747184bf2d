"""Bytes on their way through a buffer: first in, first out, copied as little as possible.

Large pieces are kept as they came, small ones are gathered, so that neither costs much more memory
than its bytes.
"""

from __future__ import annotations

import collections

Piece = bytes | bytearray | memoryview

# Smaller pieces are gathered: each object costs about a hundred bytes beside its own.
GATHER_BELOW_BYTES = 4 << 10
_GATHERED_BYTES = 16 << 10


class ByteQueue:
    """A queue of bytes.

    Attributes:
        size: How many bytes it holds.
    """

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self.size = 0
        self._pieces: collections.deque[Piece] = collections.deque()

    def put(self, data: bytes) -> None:
        """Append bytes; large ones are kept and not copied."""
        size = len(data)
        self.size += size
        if size >= GATHER_BELOW_BYTES:
            self._pieces.append(data)
            return
        last = self._pieces[-1] if self._pieces else None
        if type(last) is bytearray and len(last) < _GATHERED_BYTES:
            last += data
        elif size:
            self._pieces.append(bytearray(data))

    def take(self, max_bytes: int) -> bytes:
        """Take up to ``max_bytes``, at least one when there is one.

        A large piece that fits comes alone, without a copy.
        """
        pieces = self._pieces
        if pieces and type(pieces[0]) is bytes and max_bytes // 2 <= len(pieces[0]) <= max_bytes:
            first = pieces.popleft()
            self.size -= len(first)
            return bytes(first)
        return b"".join(self.take_pieces(max_bytes))

    def take_pieces(self, max_bytes: int) -> list[Piece]:
        """Take exactly ``max_bytes``, or all there is, as pieces that never change again."""
        wanted = min(max_bytes, self.size)
        self.size -= wanted
        taken: list[Piece] = []
        while wanted:
            piece = self._pieces[0]
            size = len(piece)
            if size <= wanted:
                taken.append(self._pieces.popleft())
                wanted -= size
                continue
            if not isinstance(piece, memoryview):
                piece = memoryview(bytes(piece))  # a copy where it was gathered, else none
            taken.append(piece[:wanted])
            self._pieces[0] = piece[wanted:]
            wanted = 0
        return taken

    def clear(self) -> None:
        """Drop all."""
        self._pieces.clear()
        self.size = 0
