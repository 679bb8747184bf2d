"""What the kernel says of links and addresses, and which of it is a change of the network; pure.

Not every message is one: each pod that starts brings a link of its own, whose other end lies in the
pod. What counts is an address that a peer can be reached from, and the carrier of a link that has
one.

Source: rtnetlink(7), netlink(7); linux/rtnetlink.h, linux/if_addr.h, linux/if_link.h.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Multicast groups to subscribe to: links, addresses of both families.
GROUPS = 0x1 | 0x10 | 0x100
_ERROR, _DONE = 2, 3
_NEW_LINK, _DEL_LINK, _GET_LINK = 16, 17, 18
_NEW_ADDRESS, _DEL_ADDRESS, _GET_ADDRESS = 20, 21, 22
_NLM_F_REQUEST, _NLM_F_MULTI, _NLM_F_DUMP = 0x1, 0x2, 0x300
_IFF_LOOPBACK, _IFF_LOWER_UP = 0x8, 0x10000
_SCOPE_UNIVERSE, _SCOPE_SITE = 0, 200
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
# length, type, flags, sequence, port
_HEADER = struct.Struct("=LHHLL")
# family, -, type, index, flags, change
_LINK = struct.Struct("=BxHiII")
# family, prefix length, flags, scope, index
_ADDRESS = struct.Struct("=BBBBI")
# length, type
_ATTRIBUTE = struct.Struct("=HH")


class Network:
    """The links that have a carrier, and the addresses on them, as far as they were told."""

    def __init__(self) -> None:
        self._carriers: dict[int, bool] = {}
        self._addresses: set[tuple[int, bytes]] = set()
        self._unasked = [_GET_LINK, _GET_ADDRESS]
        self._is_asking = False

    def next_request(self) -> bytes | None:
        """Return the next question for all that there is; one at a time, as the kernel has it."""
        if self._is_asking or not self._unasked:
            return None
        self._is_asking = True
        kind = self._unasked.pop(0)
        head = _HEADER.pack(_HEADER.size + 1, kind, _NLM_F_REQUEST | _NLM_F_DUMP, 0, 0)
        return head + b"\0"  # of any address family

    def receive(self, datagram: bytes) -> bool:
        """Take one datagram; returns whether it tells of a change of the network.

        What is malformed in it is passed over: the kernel is no adversary, and a missed change
        costs one wait.
        """
        changed = False
        for kind, flags, body in _messages(datagram):
            if kind in (_DONE, _ERROR):
                self._is_asking = False
            told = self._take(kind, body)
            # An answer to our question is no news.
            changed |= told and not flags & _NLM_F_MULTI
        return changed

    def _take(self, kind: int, body: memoryview) -> bool:
        if kind in (_NEW_LINK, _DEL_LINK) and len(body) >= _LINK.size:
            return self._take_link(kind, body)
        if kind in (_NEW_ADDRESS, _DEL_ADDRESS) and len(body) >= _ADDRESS.size:
            return self._take_address(kind, body)
        return False

    def _take_link(self, kind: int, body: memoryview) -> bool:
        _, _, index, flags, _ = _LINK.unpack_from(body)
        if flags & _IFF_LOOPBACK:
            return False
        before = self._carriers.get(index)
        if kind == _DEL_LINK:
            self._carriers.pop(index, None)
            # Its addresses are told of by messages of their own.
            return False
        self._carriers[index] = bool(flags & _IFF_LOWER_UP)
        is_new = before is None or before == self._carriers[index]
        return not is_new and any(index == on for on, _ in self._addresses)

    def _take_address(self, kind: int, body: memoryview) -> bool:
        _, _, _, scope, index = _ADDRESS.unpack_from(body)
        if scope not in (_SCOPE_UNIVERSE, _SCOPE_SITE):
            return False
        attributes = dict(_attributes(body[_ADDRESS.size :]))
        # IFA_ADDRESS is the peer's on a point-to-point link; IPv6 has it alone.
        address = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS) or b""
        known = (index, address) in self._addresses
        if kind == _NEW_ADDRESS:
            # Lifetimes are told anew with every router advertisement.
            self._addresses.add((index, address))
            return not known
        self._addresses.discard((index, address))
        return known


def _messages(datagram: bytes) -> Iterator[tuple[int, int, memoryview]]:
    rest = memoryview(datagram)
    while len(rest) >= _HEADER.size:
        length, kind, flags, _, _ = _HEADER.unpack_from(rest)
        if not _HEADER.size <= length <= len(rest):
            return
        yield kind, flags, rest[_HEADER.size : length]
        rest = rest[_aligned(length) :]


def _attributes(body: memoryview) -> Iterator[tuple[int, bytes]]:
    while len(body) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(body)
        if not _ATTRIBUTE.size <= length <= len(body):
            return
        yield kind, bytes(body[_ATTRIBUTE.size : length])
        body = body[_aligned(length) :]


def _aligned(length: int) -> int:
    return (length + 3) & ~3
