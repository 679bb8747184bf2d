"""Relays one upgraded stream to a streaming server of the container runtime, byte for byte.

The runtime answers Exec, Attach and PortForward with a URL on this machine's loopback. We replay
the client's own upgrade request there, and once it said 101 we only copy: nothing is decoded.

Source: kubernetes apimachinery pkg/util/proxy/upgradeaware.go ``UpgradeAwareHandler``.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from edge_runtime.api.request import ApiError, ApiRequest, respond_bytes
from edge_runtime.api.runtime_response import (
    HOP_BY_HOP,
    MalformedResponse,
    RuntimeResponse,
    parse_body,
    parse_head,
)
from tunnel.errors import SessionClosed, StreamReset
from tunnel.protocol import METHOD_HEADER, ResponseHead

if TYPE_CHECKING:
    from tunnel.stream import Stream

logger = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 5.0
# Both servers answer an upgrade at once; what takes longer comes after the 101.
RESPONSE_TIMEOUT_S = 30.0
# One read: large enough that 100 MB are a few thousand turns of the loop, small enough to share it.
COPY_BYTES = 64 << 10
INTERNAL_ERROR = 0x2

# `expect` would make the server answer 100 first; the credential of the caller is not the
# runtime's.
_NOT_REPLAYED = HOP_BY_HOP | {"host", "expect", "authorization", "cookie", METHOD_HEADER.lower()}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z/-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamingAddress:
    """Where on loopback the runtime serves one stream, and under which path."""

    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """``host:port`` as the Host header has it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_streaming_url(url: str) -> StreamingAddress:
    """Accept a URL of the container runtime's streaming server.

    Raises:
        ApiError: 500, unless it is plain HTTP to a loopback address with a port: whatever the
            runtime says, the edge dials no other machine for it.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        address = ipaddress.ip_address(parts.hostname or "")
    except ValueError as exc:
        raise ApiError(500, "the container runtime's streaming URL is not a loopback URL") from exc
    if parts.scheme != "http" or not port or not address.is_loopback or parts.username is not None:
        raise ApiError(500, "the container runtime's streaming URL is not a loopback URL")
    path = parts.path or "/"
    if parts.query:
        path += "?" + parts.query
    if not re.fullmatch(r"[\x21-\x7e]+", path):
        raise ApiError(500, "the container runtime's streaming URL has no usable path")
    return StreamingAddress(host=str(address), port=port, path=path)


def require_upgrade(request: ApiRequest) -> str:
    """Return the protocol to upgrade to.

    Raises:
        ApiError: 500 as the kubelet has it when no upgrade is asked for, 400 for no token.
    """
    if request.protocol is None:
        raise ApiError(500, "Upgrade request required\n")
    if not _TOKEN.fullmatch(request.protocol):
        raise ApiError(400, "the Upgrade header is no protocol token")
    return request.protocol


async def relay_upgrade(request: ApiRequest, stream: Stream, *, url: str) -> None:
    """Replay the upgrade at ``url``, answer the stream, and copy both ways until both ends ended.

    When the stream is lost, the connection to the runtime is closed, whereby the process there sees
    the end of its input. When that connection breaks before its orderly end, the stream is reset.
    Cancelling closes the connection.

    Raises:
        ApiError: The runtime cannot be reached or its answer not be understood; nothing was
        answered. StreamReset: The peer gave the request up before it was answered. SessionClosed:
        The session ended before the request was answered.
    """
    protocol = require_upgrade(request)
    address = parse_streaming_url(url)
    with await _connect(address) as runtime:
        response, rest = await _upgrade(runtime, _encode_request(request, protocol, address))
        if response.status != 101:
            await _refuse(runtime, response, rest, stream)
            return
        await stream.respond(ResponseHead(status=200, headers=response.end_to_end_headers))
        await _copy(runtime, rest, stream)


async def _connect(address: StreamingAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    runtime = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        runtime.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            await asyncio.get_running_loop().sock_connect(runtime, (address.host, address.port))
    except OSError as exc:
        runtime.close()
        raise ApiError(500, f"error dialing the container runtime: {exc}") from exc
    except BaseException:
        runtime.close()
        raise
    return runtime


def _encode_request(request: ApiRequest, protocol: str, address: StreamingAddress) -> bytes:
    lines = [
        f"{request.method} {address.path} HTTP/1.1",
        f"Host: {address.authority}",
        "Connection: Upgrade",
        f"Upgrade: {protocol}",
    ]
    for name, value in request.headers:
        if name in _NOT_REPLAYED:
            continue
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise ApiError(400, "a header field cannot be sent on")
        lines.append(f"{name}: {value}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")


async def _upgrade(runtime: socket.socket, head: bytes) -> tuple[RuntimeResponse, bytes]:
    """Send the request, return the head of the answer and the bytes that came behind it."""
    loop = asyncio.get_running_loop()
    received = bytearray()
    try:
        async with asyncio.timeout(RESPONSE_TIMEOUT_S):
            await loop.sock_sendall(runtime, head)
            while (parsed := parse_head(received)) is None:
                received += await _receive_more(runtime)
    except (OSError, MalformedResponse) as exc:
        raise ApiError(500, f"error from the container runtime: {exc}") from exc
    response, length = parsed
    return response, bytes(received[length:])


async def _receive_more(runtime: socket.socket) -> bytes:
    data = await asyncio.get_running_loop().sock_recv(runtime, COPY_BYTES)
    if not data:
        raise MalformedResponse("the connection ended before an answer")
    return data


async def _refuse(
    runtime: socket.socket, response: RuntimeResponse, rest: bytes, stream: Stream
) -> None:
    """Pass a refusal on unchanged; a success without upgrade must not look like one."""
    if response.status < 400:
        raise ApiError(500, f"invalid upgrade response: status code {response.status}\n")
    loop = asyncio.get_running_loop()
    at_end = False
    try:
        async with asyncio.timeout(RESPONSE_TIMEOUT_S):
            while (body := parse_body(response, rest, at_end=at_end)) is None:
                data = await loop.sock_recv(runtime, COPY_BYTES)
                at_end = not data
                rest += data
    except (OSError, MalformedResponse) as exc:
        raise ApiError(500, f"error from the container runtime: {exc}") from exc
    headers = tuple((n, v) for n, v in response.end_to_end_headers if n != "content-type")
    types = [value for name, value in response.headers if name == "content-type"]
    await respond_bytes(
        stream,
        body,
        status=response.status,
        headers=headers,
        **({"content_type": types[0]} if types else {}),
    )


async def _copy(runtime: socket.socket, rest: bytes, stream: Stream) -> None:
    broken: OSError | None = None
    try:
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_copy_from_runtime(runtime, rest, stream))
            directions.create_task(_copy_to_runtime(runtime, stream))
    except* (StreamReset, SessionClosed) as lost:
        logger.debug("upgraded stream lost", extra={"reason": str(lost.exceptions[0])})
    except* OSError as errors:
        broken = next(error for error in errors.exceptions if isinstance(error, OSError))
    if broken is not None:
        await _break_off(stream, f"the connection to the container runtime broke: {broken}")


async def _break_off(stream: Stream, reason: str) -> None:
    """Reset the stream: an end of it would read as a command that succeeded.

    What came before the break goes out first. The runtime resets a connection also when it ended
    with input unread, and then the last bytes hold the exit code.
    """
    logger.info("upgraded stream broken", extra={"reason": reason})
    try:
        await stream.flush()
    except (StreamReset, SessionClosed):
        return
    stream.reset(INTERNAL_ERROR, reason)


async def _copy_from_runtime(runtime: socket.socket, rest: bytes, stream: Stream) -> None:
    """Copy output until the runtime ends it; a full window of the stream stops the reading."""
    loop = asyncio.get_running_loop()
    data = rest or await loop.sock_recv(runtime, COPY_BYTES)
    while data:
        await stream.write(data)
        data = await loop.sock_recv(runtime, COPY_BYTES)
    await stream.close_write()


async def _copy_to_runtime(runtime: socket.socket, stream: Stream) -> None:
    """Copy input until the client ends it.

    A runtime that takes no more input (the command ended) is not a failure: its output, with the
    exit code, may still be on the way. The rest of the input is read and dropped, so that the loss
    of the stream is still noticed.
    """
    loop = asyncio.get_running_loop()
    takes_input = True
    while data := await stream.read(COPY_BYTES):
        if takes_input:
            try:
                await loop.sock_sendall(runtime, data)
            except (BrokenPipeError, ConnectionResetError):
                takes_input = False
    if takes_input:
        try:
            runtime.shutdown(socket.SHUT_WR)
        except OSError as exc:
            logger.debug("runtime was already gone", extra={"error": str(exc)})
