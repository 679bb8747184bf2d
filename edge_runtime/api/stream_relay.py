"""Relays one upgraded stream to a streaming server of the container runtime, byte for byte.

The runtime answers Exec, Attach and PortForward with a URL on this machine's loopback. We replay
the client's own upgrade request there, and once it said 101 we only copy: nothing is changed. What
an exec's client sends is followed, so that the edge can speak for it when it is lost.

Source: kubernetes apimachinery pkg/util/proxy/upgradeaware.go ``UpgradeAwareHandler``.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Protocol

from edge_runtime.api.request import TEXT, ApiError, ApiRequest, respond_bytes
from edge_runtime.api.runtime_connection import (
    RuntimeConnection,
    StreamingAddress,
    parse_streaming_url,
)
from edge_runtime.api.runtime_response import (
    HOP_BY_HOP,
    MalformedResponse,
    RuntimeResponse,
    parse_body,
    parse_head,
)
from edge_runtime.api.stdin_frames import follow_stdin
from tunnel.errors import SessionClosed, StreamReset
from tunnel.protocol import AUDIT_ID_HEADER, CALLER_HEADER, METHOD_HEADER, ResponseHead
from tunnel.stream import INTERNAL_ERROR

if TYPE_CHECKING:
    from edge_runtime.api.lost_exec import LostExec
    from tunnel.stream import Stream

logger = logging.getLogger(__name__)

# Streaming servers answer an upgrade at once; what takes longer comes after the 101.
RESPONSE_TIMEOUT_S = 30.0

# `expect` would make the server answer 100 first; who calls is not the runtime's business.
_NOT_REPLAYED = HOP_BY_HOP | {
    "host",
    "expect",
    "authorization",
    "cookie",
    METHOD_HEADER,
    CALLER_HEADER,
    AUDIT_ID_HEADER,
}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z/-]+")
_VALUE = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")


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


async def relay_upgrade(
    request: ApiRequest, stream: Stream, *, url: str, lost: LostExec | None = None
) -> None:
    """Replay the upgrade at ``url``, answer the stream, and copy both ways until both ends ended.

    When the stream is lost, the connection to the runtime is closed, whereby the process there
    sees the end of its input. When that connection breaks before its orderly end, the stream is
    reset. Cancelling closes the connection.

    Args:
        request: The client's.
        stream: Where it came from.
        url: The runtime's, good for one use.
        lost: What is done for a process whose caller is lost, before its connection is closed.

    Raises:
        ApiError: The runtime cannot be reached or refuses oddly; nothing was answered.
        StreamReset: The peer gave the request up before it was answered.
        SessionClosed: The session ended before the request was answered.
    """
    protocol = require_upgrade(request)
    address = parse_streaming_url(url)
    head = _encode_request(request, protocol, address)
    with await RuntimeConnection.open(address) as runtime:
        response, rest = await _upgrade(runtime, head)
        if response.status != 101:
            await _refuse(runtime, response, rest, stream)
            return
        await stream.respond(ResponseHead(status=200, headers=response.end_to_end_headers))
        if lost is None:
            await _copy(runtime, rest, stream, _AsItComes())
            return
        stdin = follow_stdin(protocol=protocol, subprotocol=_subprotocol(response))
        is_lost = await _copy(runtime, rest, stream, stdin)
        if is_lost:
            await lost.end(runtime, stdin)


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


async def _upgrade(runtime: RuntimeConnection, head: bytes) -> tuple[RuntimeResponse, bytes]:
    """Send the request, return the head of the answer and the bytes that came behind it."""
    received = bytearray()
    try:
        async with asyncio.timeout(RESPONSE_TIMEOUT_S):
            await runtime.send(head)
            while (parsed := parse_head(received)) is None:
                received += await _receive_more(runtime)
    except (OSError, MalformedResponse) as exc:
        raise ApiError(500, f"error from the container runtime: {exc}") from exc
    response, length = parsed
    return response, bytes(received[length:])


async def _receive_more(runtime: RuntimeConnection) -> bytes:
    data = await runtime.receive()
    if not data:
        raise MalformedResponse("the connection ended before an answer")
    return data


async def _refuse(
    runtime: RuntimeConnection, response: RuntimeResponse, rest: bytes, stream: Stream
) -> None:
    """Pass a refusal on unchanged; a success without upgrade must not look like one."""
    if response.status < 400:
        raise ApiError(500, f"invalid upgrade response: status code {response.status}\n")
    at_end = False
    try:
        async with asyncio.timeout(RESPONSE_TIMEOUT_S):
            while (body := parse_body(response, rest, at_end=at_end)) is None:
                data = await runtime.receive()
                at_end = not data
                rest += data
    except (OSError, MalformedResponse) as exc:
        raise ApiError(500, f"error from the container runtime: {exc}") from exc
    headers = response.end_to_end_headers
    content_type = next((value for name, value in headers if name == "content-type"), TEXT)
    await respond_bytes(
        stream,
        body,
        status=response.status,
        content_type=content_type,
        headers=tuple(field for field in headers if field[0] != "content-type"),
    )


class _ClientBytes(Protocol):
    """What becomes of the client's bytes on their way; ``StdinFrames`` fits."""

    def client_data(self, data: bytes) -> bytes:
        """Take bytes of the client and return those that may go to the runtime now."""

    def client_ended(self) -> bytes:
        """Return what was held, when the client ended in good order."""


class _AsItComes:
    """Passes everything on."""

    def client_data(self, data: bytes) -> bytes:
        """Pass it."""
        return data

    def client_ended(self) -> bytes:
        """Hold nothing."""
        return b""


async def _copy(
    runtime: RuntimeConnection, rest: bytes, stream: Stream, client: _ClientBytes
) -> bool:
    """Copy both ways; returns whether the stream was lost while the runtime went on."""
    broken: OSError | None = None
    is_lost = False
    try:
        async with asyncio.TaskGroup() as directions:
            output = directions.create_task(_copy_output(runtime, rest, stream))
            directions.create_task(_copy_input(runtime, stream, client))
    except* (StreamReset, SessionClosed) as lost:
        # Where the runtime has ended the call, the client is done with it, too.
        is_lost = output.cancelled() or output.exception() is not None
        logger.debug("upgraded stream lost", extra={"reason": str(lost.exceptions[0])})
    except* OSError as errors:
        broken = next(error for error in errors.exceptions if isinstance(error, OSError))
    if broken is not None:
        await _break_off(stream, f"the connection to the container runtime broke: {broken}")
    return is_lost and broken is None


async def _copy_output(runtime: RuntimeConnection, rest: bytes, stream: Stream) -> None:
    """Copy until the runtime ends it; a full window of the stream stops the reading."""
    data = rest or await runtime.receive()
    while data:
        await stream.write(data)
        data = await runtime.receive()
    await stream.close_write()


async def _copy_input(runtime: RuntimeConnection, stream: Stream, client: _ClientBytes) -> None:
    """Copy until the client ends it.

    What the runtime takes no more is read and dropped, so that a loss of the stream is noticed.
    """
    takes_input = True
    while data := await stream.read():
        passed = client.client_data(data)
        if passed and takes_input:
            takes_input = await runtime.send(passed)
    held = client.client_ended()
    if held and takes_input:
        takes_input = await runtime.send(held)
    if takes_input:
        runtime.end_input()


def _subprotocol(response: RuntimeResponse) -> str:
    headers = dict(response.headers)
    return headers.get("sec-websocket-protocol") or headers.get("x-stream-protocol-version", "")


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
