"""The answer of a CRI streaming server to an upgrade request; pure.

Only what the relay needs of HTTP/1.1 (RFC 9112): a status line, header fields, and the body of a
refusal, whose length is given, chunked, or ends with the connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Head and body of a refusal alike; Go's servers keep heads below 4 KiB and refusals to one line.
MAX_HEAD_BYTES = 64 << 10
MAX_BODY_BYTES = 64 << 10

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")
# RFC 9110 §7.6.1, and what frames the body: both are made anew at each hop.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class MalformedResponse(Exception):
    """The server's answer is no HTTP/1.1, or longer than we take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeResponse:
    """Status and header fields; names are lower-case, repeats kept."""

    status: int
    headers: tuple[tuple[str, str], ...]

    @property
    def end_to_end_headers(self) -> tuple[tuple[str, str], ...]:
        """Header fields that may travel on; hop-by-hop ones and those named by Connection go."""
        dropped = set(HOP_BY_HOP)
        for name, value in self.headers:
            if name == "connection":
                dropped.update(token.strip().lower() for token in value.split(","))
        return tuple((name, value) for name, value in self.headers if name not in dropped)


def parse_head(data: bytes | bytearray) -> tuple[RuntimeResponse, int] | None:
    """Parse the head at the start of ``data``.

    Returns:
        The head and the number of bytes it took, or None while it is not complete.

    Raises:
        MalformedResponse: It is no HTTP/1.1, or longer than MAX_HEAD_BYTES.
    """
    end = data.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
    if end < 0:
        if len(data) >= MAX_HEAD_BYTES:
            raise MalformedResponse(f"the response head has more than {MAX_HEAD_BYTES} bytes")
        return None
    first, *lines = bytes(data[:end]).split(b"\r\n")
    status = _STATUS_LINE.fullmatch(first)
    if status is None:
        raise MalformedResponse("the status line is not HTTP/1.1")
    headers = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise MalformedResponse("a header field is not HTTP/1.1")
        headers.append(
            (match[1].decode("ascii").lower(), match[2].decode("utf-8", "surrogateescape"))
        )
    return RuntimeResponse(status=int(status[1]), headers=tuple(headers)), end + 4


def parse_body(response: RuntimeResponse, data: bytes, *, at_end: bool) -> bytes | None:
    """Cut the body of a refusal out of the bytes that followed its head.

    Args:
        response: The head.
        data: All bytes after it so far.
        at_end: Whether the server closed the connection.

    Returns:
        The body, or None while it is not complete.

    Raises:
        MalformedResponse: Its framing is not HTTP/1.1, it was cut off, or it is too long.
    """
    fields = dict(response.headers)
    if fields.get("transfer-encoding", "").lower() == "chunked":
        body = _decode_chunks(data)
    elif (length := fields.get("content-length")) is not None:
        if not (length.isascii() and length.isdecimal()):
            raise MalformedResponse("the content length is no number")
        body = data[: int(length)] if len(data) >= int(length) else None
    else:
        body = data if at_end else None
    if len(data) > MAX_BODY_BYTES:
        raise MalformedResponse(f"the response body has more than {MAX_BODY_BYTES} bytes")
    if body is None and at_end:
        raise MalformedResponse("the response body was cut off")
    return body


def _decode_chunks(data: bytes) -> bytes | None:
    body = bytearray()
    position = 0
    while (end := data.find(b"\r\n", position)) >= 0:
        digits = data[position:end].partition(b";")[0].strip()
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,8}", digits):
            raise MalformedResponse("a chunk's length is no number")
        size = int(digits, 16)
        if size == 0:
            return bytes(body)
        start = end + 2
        body += data[start : start + size]
        position = start + size + 2
    return None
