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
# Larger ones are taken alone: joined to others they would be copied once more.
_ALONE_FROM_BYTES = 32 << 10
# What is left of a piece that was cut keeps at most so many times its own size.
_KEPT_AT_MOST = 4


class ByteQueue:
    """A queue of bytes.

    Attributes:
        size: How many bytes it holds.
    """

    __slots__ = ("_has_views", "_pieces", "size")

    def __init__(self) -> None:
        self.size = 0
        self._pieces: collections.deque[Piece] = collections.deque()
        self._has_views = False  # of what others own

    def put(self, data: bytes | memoryview) -> None:
        """Append bytes; large ones are kept and not copied.

        What a large view is a view of is kept with it, until it is taken, ``own`` is called, or
        little of it is left.
        """
        size = len(data)
        self.size += size
        if size >= GATHER_BELOW_BYTES:
            self._pieces.append(data)
            if type(data) is memoryview:
                self._has_views = True
            return
        last = self._pieces[-1] if self._pieces else None
        if type(last) is bytearray and len(last) < _GATHERED_BYTES:
            last += data
        elif size:
            self._pieces.append(bytearray(data))

    def take(self, max_bytes: int) -> bytes:
        """Take up to ``max_bytes``, at least one when there is one.

        A large piece that fits comes alone, without a copy; only one that does not fit is cut.
        """
        pieces = self._pieces
        if not pieces or len(pieces[0]) > max_bytes:
            return b"".join(self.take_pieces(max_bytes))
        taken = [pieces.popleft()]
        size = len(taken[0])
        if size < _ALONE_FROM_BYTES:
            while pieces and size + len(pieces[0]) <= max_bytes:
                piece = pieces.popleft()
                size += len(piece)
                taken.append(piece)
        self.size -= size
        return b"".join(taken)

    def take_pieces(self, max_bytes: int) -> list[Piece]:
        """Take exactly ``max_bytes``, or all there is, as pieces that never change again."""
        pieces = self._pieces
        wanted = self.size
        if wanted > max_bytes:
            wanted = max_bytes
        self.size -= wanted
        taken: list[Piece] = []
        while wanted:
            piece = pieces[0]
            size = len(piece)
            if size <= wanted:
                taken.append(pieces.popleft())
                wanted -= size
                continue
            if type(piece) is not memoryview:
                piece = memoryview(bytes(piece))  # a copy where it was gathered, else none
            taken.append(piece[:wanted])
            left = piece[wanted:]
            kept = memoryview(piece.obj).nbytes
            pieces[0] = left if kept <= _KEPT_AT_MOST * len(left) else bytes(left)
            break
        return taken

    def own(self) -> None:
        """Copy what is a view, so that nothing larger is kept for its sake."""
        if self._has_views and self._pieces:
            self._pieces = collections.deque(
                bytes(piece) if type(piece) is memoryview else piece for piece in self._pieces
            )
        self._has_views = False

    def clear(self) -> None:
        """Drop all."""
        self._pieces.clear()
        self.size = 0
