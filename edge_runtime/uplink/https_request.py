"""One HTTPS request to the provider, with nothing but ``ssl`` and asyncio's streams.

Direct or through the proxy of the environment, chosen as the tunnel's dial chooses it. Every answer
is bounded, every request has a time limit, nothing is followed and nothing is kept open.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
from typing import TYPE_CHECKING

from websockets.exceptions import InvalidProxy
from websockets.proxy import get_proxy, parse_proxy, prepare_connect_request
from websockets.uri import parse_uri

from tunnel.enrolment import MAX_ANSWER_BYTES

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from websockets.proxy import Proxy

# An idle handshake, a key that is made at the other end, a Secret that is written: seconds at most.
REQUEST_TIMEOUT_S = 10.0
MAX_HEAD_BYTES = 16 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")


class ProxyError(Exception):
    """The proxy of the environment does not let us through, or cannot be used; one sentence."""


class AnswerError(Exception):
    """What answered does not speak HTTP as a provider does; one sentence."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request.

    Attributes:
        method: GET or POST.
        path: What is asked for.
        headers: Beside those that every request has.
        body: At most a few KiB; sent with its length.
    """

    method: str
    path: str
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b""

    def encode(self, *, host: str) -> bytes:
        """Return the request as it is sent."""
        headers = {"Host": host, "Connection": "close", "Accept-Encoding": "identity"}
        headers |= self.headers
        if self.method == "POST":
            headers["Content-Length"] = str(len(self.body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self.method} {self.path} HTTP/1.1\r\n{lines}\r\n".encode() + self.body


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer.

    Attributes:
        status: Of HTTP.
        headers: Names in lower case; of repeated ones the last.
        body: At most MAX_ANSWER_BYTES.
        peer_certificate: Of the server, DER; verified only if the context verifies.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    peer_certificate: bytes


async def send_request(
    request: Request,
    *,
    server: tuple[str, int],
    context: ssl.SSLContext,
    server_hostname: str,
    timeout_s: float = REQUEST_TIMEOUT_S,
) -> Answer:
    """Connect, send, return the answer, hang up. Cancelling leaves no connection behind.

    Args:
        request: What to ask.
        server: Host and port.
        context: Whom to trust and which certificate to show.
        server_hostname: Sent as SNI, and what the certificate must be for if that is checked.
        timeout_s: For all of it.

    Raises:
        TimeoutError: There was no answer by then.
        OSError: The server cannot be reached, or the handshake failed (``ssl.SSLError``).
        ProxyError: See there.
        AnswerError: See there.
    """
    async with asyncio.timeout(timeout_s):
        reader, writer = await _connect(server, context, server_hostname)
        try:
            writer.write(request.encode(host=server_hostname))
            await writer.drain()
            status, headers = await _read_head(reader)
            body = await _read_body(reader, headers)
            tls = writer.get_extra_info("ssl_object")
            return Answer(
                status=status,
                headers=headers,
                body=body,
                peer_certificate=tls.getpeercert(binary_form=True) or b"",
            )
        finally:
            # Nothing more is wanted of it, and a polite end would wait for the other side.
            writer.transport.abort()


async def _connect(
    server: tuple[str, int], context: ssl.SSLContext, server_hostname: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = server
    uri = parse_uri(f"wss://[{host}]:{port}/" if ":" in host else f"wss://{host}:{port}/")
    proxy_url = get_proxy(uri)
    if proxy_url is None:
        return await asyncio.open_connection(
            host, port, ssl=context, server_hostname=server_hostname
        )
    proxy = _usable_proxy(proxy_url)
    address = f"{proxy.host}:{proxy.port}"
    try:
        reader, writer = await asyncio.open_connection(
            proxy.host, proxy.port, ssl=True if proxy.scheme == "https" else None
        )
    except OSError as exc:
        raise ProxyError(f"the proxy {address} cannot be reached ({exc.strerror or exc})") from exc
    try:
        writer.write(prepare_connect_request(proxy, uri, None))
        await writer.drain()
        await _read_consent(reader, address)
        await writer.start_tls(context, server_hostname=server_hostname)
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


def _usable_proxy(url: str) -> Proxy:
    try:
        proxy = parse_proxy(url)
    except (InvalidProxy, ValueError) as exc:
        # Without its text, which repeats the address and with it a password.
        raise ProxyError("the proxy's address in the environment cannot be used") from exc
    if proxy.scheme not in ("http", "https"):
        raise ProxyError(f"a {proxy.scheme} proxy is not supported for joining and renewing")
    return proxy


async def _read_consent(reader: asyncio.StreamReader, address: str) -> None:
    try:
        status, _ = await _read_head(reader)
    except (AnswerError, ConnectionError) as exc:
        raise ProxyError(f"the proxy {address} gave no answer that is HTTP") from exc
    if not 200 <= status < 300:
        raise ProxyError(f"the proxy {address} answered {status} to CONNECT")


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    head = b""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as exc:
        if not exc.partial:
            raise ConnectionResetError("the connection was closed without an answer") from exc
        raise AnswerError("the answer is not HTTP") from exc
    except asyncio.LimitOverrunError as exc:
        raise AnswerError("the answer's head has no end") from exc
    status_line, *lines = head.split(b"\r\n")
    match = _STATUS_LINE.fullmatch(status_line)
    if match is None or len(head) > MAX_HEAD_BYTES:
        raise AnswerError("the answer is not HTTP")
    pairs = (line.decode("latin-1").partition(":") for line in lines if line)
    return int(match[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if "transfer-encoding" in headers:
        # A provider's answers have a length; what is in a foreign one is of no interest.
        return b""
    length = headers.get("content-length")
    if length is None:
        return await _read_to_end(reader)
    if not (length.isascii() and length.isdecimal()) or len(length) > 9:
        raise AnswerError("the answer has no usable length")
    if int(length) > MAX_ANSWER_BYTES:
        raise AnswerError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    try:
        return await reader.readexactly(int(length))
    except asyncio.IncompleteReadError as exc:
        raise ConnectionResetError("the connection was closed within the answer") from exc


async def _read_to_end(reader: asyncio.StreamReader) -> bytes:
    body = b""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(MAX_ANSWER_BYTES):
            body += data
            if len(body) > MAX_ANSWER_BYTES:
                raise AnswerError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    return body
