"""Request and response heads, and the HTTP/2 header lists that carry them.

What an HTTP/1.1 message says of its own connection stays behind: ``connection`` and all that it
names, ``upgrade``, ``transfer-encoding`` and their like are not sent, and neither is ``host`` (it
becomes ``:authority``). A head that the peer's HTTP/2 would refuse is refused here, since there it
would cost the whole session.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from tunnel.errors import HeadError, ProtocolError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAX_HEADER_LIST_BYTES = 64 << 10
DEFAULT_AUTHORITY = "edgelet"
# RFC 9113 §8.2.2, and Host, which :authority replaces (§8.3.1).
_OF_THE_CONNECTION = frozenset(
    {
        "connection",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9113 §8.2.1: no NUL, CR, LF anywhere, no blank at either end; we refuse the other control
# characters as well.
_VALUE = re.compile(r"(?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*[^\x00-\x20\x7f])?)?")
# What each header adds to the size of the list (RFC 9113 §6.5.2).
_ENTRY_OVERHEAD_BYTES = 32

HeaderList = list[tuple[bytes, bytes]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """The head of one request.

    Attributes:
        method: ``GET``, ``POST``…; ``CONNECT`` whenever ``protocol`` is set, whatever was given.
        path: With its query, percent-encoded as it came; starts with ``/``.
        headers: Lower-case name and value in their order, repeats kept. Bytes beyond ASCII travel
            as UTF-8, and as lone surrogates where they are none (``surrogateescape``).
        protocol: Set for an extended CONNECT (RFC 8441): the Upgrade token, as ``SPDY/3.1``.
    """

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = ()
    protocol: str | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """The head of one response: a status of 200 … 599 and headers as in RequestHead."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()


def encode_request(head: RequestHead, *, max_list_bytes: int = MAX_HEADER_LIST_BYTES) -> HeaderList:
    """Turn a request head into its HTTP/2 header list.

    Raises:
        HeadError: The method, path or a header is none, or all together is too large.
    """
    if not _TOKEN.fullmatch(head.method):
        raise HeadError(f"{head.method!r} is no method")
    if not head.path.startswith("/") or not _VALUE.fullmatch(head.path) or " " in head.path:
        raise HeadError(f"{head.path!r} is no path")
    hosts = [value for name, value in head.headers if name.lower() == "host" and value]
    pseudo = [
        (":method", "CONNECT" if head.protocol is not None else head.method),
        (":scheme", "https"),
        (":authority", hosts[0] if hosts else DEFAULT_AUTHORITY),
        (":path", head.path),
    ]
    if head.protocol is not None:
        if not head.protocol or not _VALUE.fullmatch(head.protocol):
            raise HeadError(f"{head.protocol!r} is no protocol")
        pseudo.append((":protocol", head.protocol))
    return _encode(pseudo, head.headers, max_list_bytes=max_list_bytes)


def encode_response(
    head: ResponseHead, *, max_list_bytes: int = MAX_HEADER_LIST_BYTES
) -> HeaderList:
    """Turn a response head into its HTTP/2 header list.

    Raises:
        HeadError: The status or a header is none, or all together is too large.
    """
    if not 200 <= head.status <= 599:
        raise HeadError(f"{head.status} is no final status")
    return _encode([(":status", str(head.status))], head.headers, max_list_bytes=max_list_bytes)


def decode_request(headers: Iterable[tuple[bytes, bytes]]) -> RequestHead:
    """Read a request head from a header list that h2 has validated.

    Raises:
        ProtocolError: An ordinary CONNECT, or a path that does not start with ``/``.
    """
    pseudo, regular = _decode(headers)
    path = pseudo.get(":path", "")
    if not path.startswith("/"):
        raise ProtocolError(f"request without a path: {pseudo.get(':method')} {path!r}")
    return RequestHead(
        method=pseudo[":method"], path=path, headers=regular, protocol=pseudo.get(":protocol")
    )


def decode_response(headers: Iterable[tuple[bytes, bytes]]) -> ResponseHead:
    """Read a response head from a header list that h2 has validated.

    Raises:
        ProtocolError: The status is no number of 200 … 599.
    """
    pseudo, regular = _decode(headers)
    status = pseudo.get(":status", "")
    if not (status.isascii() and status.isdigit() and 200 <= int(status[:4]) <= 599):
        raise ProtocolError(f"response with status {status!r}")
    return ResponseHead(status=int(status), headers=regular)


def declared_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Return what ``content-length`` says, None without one.

    Raises:
        HeadError: It is no number, or said twice with different values.
    """
    values = {value for name, value in headers if name == b"content-length"}
    if not values:
        return None
    value = values.pop()
    if values or not value.isdigit() or len(value) > 18:
        raise HeadError("content-length is no single number")
    return int(value)


def _encode(
    pseudo: Sequence[tuple[str, str]], headers: Sequence[tuple[str, str]], *, max_list_bytes: int
) -> HeaderList:
    left_behind = _OF_THE_CONNECTION | _named_by_connection(headers)
    encoded = [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in pseudo]
    for raw_name, raw_value in headers:
        name, value = raw_name.lower(), raw_value.strip(" \t")
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise HeadError(f"header {raw_name!r} cannot be sent")
        if name not in left_behind:
            encoded.append((name.encode("ascii"), value.encode("utf-8", "surrogateescape")))
    size = sum(len(name) + len(value) + _ENTRY_OVERHEAD_BYTES for name, value in encoded)
    if size > max_list_bytes:
        raise HeadError(f"headers of {size} bytes, at most {max_list_bytes} are allowed")
    return encoded


def _named_by_connection(headers: Iterable[tuple[str, str]]) -> frozenset[str]:
    return frozenset(
        token.strip().lower()
        for name, value in headers
        if name.lower() == "connection"
        for token in value.split(",")
    )


def _decode(
    headers: Iterable[tuple[bytes, bytes]],
) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    pseudo: dict[str, str] = {}
    regular: list[tuple[str, str]] = []
    for raw_name, raw_value in headers:
        name = raw_name.decode("ascii")
        value = raw_value.decode("utf-8", "surrogateescape")
        if name.startswith(":"):
            pseudo[name] = value
        else:
            regular.append((name, value))
    return pseudo, tuple(regular)
