"""Messages of rtnetlink by hand, as the kernel sends them."""

from __future__ import annotations

import socket
import struct

NEW_LINK, DEL_LINK, NEW_ADDRESS, DEL_ADDRESS, DONE = 16, 17, 20, 21, 3
MULTI = 2
UP, LOWER_UP, LOOPBACK = 0x1, 0x10000, 0x8
UNIVERSE, LINK, HOST = 0, 253, 254
ETHERNET, POD = 2, 7


def message(kind: int, body: bytes, *, flags: int = 0) -> bytes:
    """Encode one netlink message, padded."""
    return struct.pack("=LHHLL", 16 + len(body), kind, flags, 0, 0) + body + bytes(-len(body) % 4)


def link(index: int, *, carrier: bool, kind: int = NEW_LINK, flags: int = UP) -> bytes:
    """Encode a link."""
    flags |= LOWER_UP if carrier else 0
    return message(kind, struct.pack("=BxHiII", 0, 1, index, flags, 0) + attribute(3, b"eth0\0"))


def address(
    text: str,
    index: int = ETHERNET,
    *,
    kind: int = NEW_ADDRESS,
    scope: int = UNIVERSE,
    flags: int = 0,
) -> bytes:
    """Encode an address."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    packed = socket.inet_pton(family, text)
    kinds = (1,) if family == socket.AF_INET6 else (1, 2)
    body = struct.pack("=BBBBI", family, 24, 0, scope, index)
    return message(kind, body + b"".join(attribute(one, packed) for one in kinds), flags=flags)


def attribute(kind: int, value: bytes) -> bytes:
    """Encode one attribute, padded."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
