"""One GET in a kubelet's manner: redirects on the same host, no verification, bounded answers.

A client of our own: the HTTP/1.1 that probes speak is small, and aiohttp's client costs 8 MiB.
HTTP/2, which a kubelet offers over TLS, is not spoken: servers without HTTP/1.1 are not known.

Source: kubernetes pkg/probe/http/http.go ``DoHTTPProbe``; Go's net/http for the errors' texts.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from dataclasses import dataclass

from edge_runtime.prober.dial import STREAM_LIMIT_BYTES, DialError, close, dial, go_errno
from edge_runtime.prober.http_message import (
    AnswerHead,
    BadAnswer,
    BadRequest,
    GetRequest,
    parse_head,
    redirected,
)

# Source: kubernetes pkg/probe/http/http.go ``maxRespBodyLength``.
MAX_BODY_BYTES = 10 * 1024
MAX_REDIRECTS = 10
# Source: Go's net/http ``max1xxResponses``.
MAX_INFORMATIONAL = 5
_PLAIN_ANSWER = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG")
_TIMEOUT = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
_TIMEOUT_IN_BODY = (
    "context deadline exceeded (Client.Timeout or context cancellation while reading body)"
)


class GetError(Exception):
    """There was no answer; the text is Go's: ``Get "http://10.0.0.1:80/": EOF``.

    Attributes:
        is_plain: The server that was asked over TLS answered without.
    """

    def __init__(self, request: GetRequest, reason: str, *, is_plain: bool = False) -> None:
        super().__init__(f'Get "{request.url}": {reason}')
        self.is_plain = is_plain


class BodyError(Exception):
    """There was an answer, but its body broke off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetAnswer:
    """An answer.

    Attributes:
        body: Its first 10 KiB.
    """

    status: int
    body: str


@dataclass(slots=True)
class _Attempt:
    """How far a GET came, for the texts of timeouts."""

    request: GetRequest
    has_head: bool = False


async def http_get(request: GetRequest, *, timeout_s: float | None) -> GetAnswer:
    """Send a GET, follow its redirects, and return the last answer; leaves nothing open.

    Args:
        request: What to ask.
        timeout_s: For all of it; None leaves the limit to the caller.

    Raises:
        GetError: There is no answer.
        BodyError: The answer is not whole.
    """
    attempt = _Attempt(request)
    try:
        async with asyncio.timeout(timeout_s):
            return await _follow(attempt)
    except TimeoutError as exc:
        if attempt.has_head:
            raise BodyError(_TIMEOUT_IN_BODY) from exc
        raise GetError(attempt.request, _TIMEOUT) from exc


async def _follow(attempt: _Attempt) -> GetAnswer:
    for _ in range(MAX_REDIRECTS):
        answer = await _ask(attempt)
        if isinstance(answer, GetAnswer):
            return answer
        attempt.request, attempt.has_head = answer, False
    raise GetError(attempt.request, f"stopped after {MAX_REDIRECTS} redirects")


async def _ask(attempt: _Attempt) -> GetAnswer | GetRequest:
    """Ask once; return the answer, or what is to be asked instead."""
    request = attempt.request
    try:
        message = request.encode()
        tls = _unverified() if request.scheme == "https" else None
        reader, writer = await dial(request.host, request.port, tls=tls)
    except (BadRequest, DialError) as exc:
        raise GetError(request, str(exc)) from exc
    except ssl.SSLError as exc:
        raise _handshake_error(request, exc) from exc
    try:
        head = await _exchange(request, message, reader, writer)
        try:
            instead = redirected(request, head)
        except BadAnswer as exc:
            raise GetError(request, str(exc)) from exc
        if instead is not None:
            return instead
        attempt.has_head = True
        return GetAnswer(status=head.status, body=await _read_body(head, reader))
    finally:
        await close(writer)


async def _exchange(
    request: GetRequest,
    message: bytes,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> AnswerHead:
    try:
        writer.write(message)
        await writer.drain()
        return await _read_head(reader)
    except BadAnswer as exc:
        raise GetError(request, str(exc)) from exc
    except ssl.SSLError as exc:
        raise _handshake_error(request, exc) from exc
    except OSError as exc:
        raise GetError(request, f"read tcp {request.authority}: {_reset(exc)}") from exc


async def _read_head(reader: asyncio.StreamReader) -> AnswerHead:
    for _ in range(MAX_INFORMATIONAL + 1):
        head = parse_head(await _head_lines(reader))
        if head.status >= 200 or head.status == 101:
            return head
    raise BadAnswer("net/http: too many 1xx informational responses")


async def _head_lines(reader: asyncio.StreamReader) -> list[str]:
    lines: list[str] = []
    left_bytes = STREAM_LIMIT_BYTES
    while True:
        try:
            line = await reader.readline()
        except ValueError as exc:
            left_bytes = -1
            line = b""
            del exc
        left_bytes -= len(line)
        if left_bytes < 0:
            raise BadAnswer(
                f"net/http: server response headers exceeded {STREAM_LIMIT_BYTES} bytes; aborted"
            )
        if not line.endswith(b"\n"):
            raise BadAnswer("EOF" if not lines and not line else "unexpected EOF")
        text = line.rstrip(b"\r\n").decode("latin-1")
        if not text:
            return lines
        lines.append(text)


async def _read_body(head: AnswerHead, reader: asyncio.StreamReader) -> str:
    try:
        body = await (_read_chunks(reader) if head.is_chunked else _read_plain(head, reader))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as exc:
        raise BodyError("unexpected EOF") from exc
    except BadAnswer as exc:
        raise BodyError(str(exc)) from exc
    except OSError as exc:
        raise BodyError(_reset(exc)) from exc
    return body.decode("utf-8", errors="replace")


async def _read_plain(head: AnswerHead, reader: asyncio.StreamReader) -> bytes:
    length = head.content_length
    if length is not None:
        return await reader.readexactly(min(length, MAX_BODY_BYTES))
    return await _read_up_to(reader, MAX_BODY_BYTES)


async def _read_up_to(reader: asyncio.StreamReader, size: int) -> bytes:
    body = b""
    while len(body) < size:
        part = await reader.read(size - len(body))
        if not part:
            break
        body += part
    return body


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while len(body) < MAX_BODY_BYTES:
        line = await reader.readuntil(b"\n")
        size = int(line.partition(b";")[0], 16)
        if size <= 0:
            break
        wanted = min(size, MAX_BODY_BYTES - len(body))
        body += await reader.readexactly(wanted)
        if wanted == size:
            await reader.readuntil(b"\n")
    return body


@functools.cache
def _unverified() -> ssl.SSLContext:
    """Return what HTTPS is spoken with: a container's certificate proves nothing here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Small keys are no worse than unverified ones.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


def _handshake_error(request: GetRequest, exc: ssl.SSLError) -> GetError:
    if exc.reason in _PLAIN_ANSWER:
        reason = "http: server gave HTTP response to HTTPS client"
        return GetError(request, reason, is_plain=True)
    words = (exc.reason or str(exc)).replace("_", " ").lower()
    return GetError(request, f"remote error: tls: {words}")


def _reset(exc: OSError) -> str:
    return f"read: {go_errno(exc.errno, str(exc))}"
