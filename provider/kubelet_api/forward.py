"""Plain calls: the request goes to the edge, its answer comes back, streamed as it comes."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TYPE_CHECKING, NoReturn

from aiohttp import web

from provider.kubelet_api.followed_log import FollowedLog, LogCall
from provider.kubelet_api.request_heads import BadAnswer, answer_headers, tunnel_request
from provider.kubelet_api.request_trace import headers_of
from provider.telemetry.plain_text import plain_text
from tunnel.errors import SessionClosed, StreamReset
from tunnel.log_positions import POSITIONS_HEADER, POSITIONS_VERSION, LogFramesBroken

if TYPE_CHECKING:
    from provider.edge_link.edge_client import EdgeClient
    from provider.kubelet_api.user import User
    from tunnel.protocol import ResponseHead
    from tunnel.stream import Stream

logger = logging.getLogger(__name__)

# A kubelet answers these from memory or from its runtime, which has 2 min per call.
HEAD_TIMEOUT_S = 130.0
# What runs in a container may take as long as a kubelet's server lets it (pkg/kubelet/server
# ReadTimeout).
RUN_HEAD_TIMEOUT_S = 4 * 3600.0
# All pods of a node as one list: the largest object of the API has 1.5 MiB, and a node hundreds.
MAX_LIST_BYTES = 256 << 20
# A refusal is a sentence, which kubectl shows; it comes at once.
MAX_REFUSAL_BYTES = 64 << 10
REFUSAL_TIMEOUT_S = 10.0


async def forward(
    request: web.BaseRequest,
    edge: EdgeClient,
    *,
    caller: User,
    head_timeout_s: float,
    max_body_bytes: int | None = None,
    is_log: bool = False,
) -> web.StreamResponse:
    """Forward one call and stream its answer.

    Cancelled, when the client has gone, it resets the stream.

    Args:
        request: The client's.
        edge: Where it goes.
        caller: Who asks.
        head_timeout_s: How long the edge may take for the head of its answer.
        max_body_bytes: A longer body is cut off with the client's connection; None has no end.
        is_log: It is ``/containerLogs/{namespace}/{pod}/{container}``: who follows it is told how
            to go on when it breaks off.

    Raises:
        SiteOffline: The edge is not there.
        HeadError: The request's head is none that can be sent.
        BadAnswer: The edge's head is none that may be passed on.
        StreamReset: The edge gave up before it answered.
        SessionClosed: The link was lost before the edge answered.
        TimeoutError: There was no answer within ``head_timeout_s``.
    """
    head = tunnel_request(
        method=request.method,
        raw_path=request.raw_path,
        headers=headers_of(request),
        peer=request.remote,
        caller=caller.name,
    )
    if is_log:
        asked = (POSITIONS_HEADER, POSITIONS_VERSION)
        head = dataclasses.replace(head, headers=(*head.headers, asked))
    stream = await edge.open_call(head)
    try:
        async with asyncio.timeout(head_timeout_s):
            await stream.close_write()
            answer = await stream.response()
        if is_log and (POSITIONS_HEADER, POSITIONS_VERSION) in answer.headers:
            return await _pass_log(request, stream, answer, site=edge.site)
        return await pass_answer(request, stream, answer, max_body_bytes=max_body_bytes)
    except BaseException:
        stream.reset()
        raise


async def pass_answer(
    request: web.BaseRequest,
    stream: Stream,
    head: ResponseHead,
    *,
    max_body_bytes: int | None = None,
) -> web.StreamResponse:
    """Pass an answer on: status, headers, then the body as it comes, with back-pressure.

    The head goes out at once, before there is a body. A stream that is lost in the middle of the
    body, or brings more than it may, aborts the client's connection: a body that merely ended would
    look complete. Of a refusal the text goes on, without what would speak to a terminal.

    Raises:
        BadAnswer: It is none that may be passed on; nothing was sent.
        StreamReset: A refusal was broken off.
        SessionClosed: The link was lost within a refusal.
        TimeoutError: A refusal did not come to its end.
    """
    headers = answer_headers(head)
    if head.status >= 400:
        return await _refusal(stream, head.status, headers)
    response = web.StreamResponse(status=head.status)
    for name, value in headers:
        response.headers.add(name, value)
    length = response.content_length
    if length is None:
        response.enable_chunked_encoding()
    elif max_body_bytes is not None and length > max_body_bytes:
        raise BadAnswer(f"a body of {length} bytes, more than {max_body_bytes}")
    await response.prepare(request)
    passed_bytes = 0
    try:
        while data := await stream.read():
            passed_bytes += len(data)
            if max_body_bytes is not None and passed_bytes > max_body_bytes:
                logger.warning("%s has no end: cut off", request.path)
                _abort(request)
            await response.write(data)
    except (StreamReset, SessionClosed):
        _abort(request)
    await response.write_eof()
    return response


async def _pass_log(
    request: web.BaseRequest, stream: Stream, head: ResponseHead, *, site: str
) -> web.StreamResponse:
    """Pass a followed log on; when it breaks off, its last bytes say so, and how to go on.

    Raises:
        BadAnswer: It is none that may be passed on; nothing was sent.
    """
    response = web.StreamResponse(status=head.status)
    for name, value in answer_headers(head):
        response.headers.add(name, value)
    response.enable_chunked_encoding()
    log = FollowedLog(_log_call(request, site=site))
    await response.prepare(request)
    try:
        while data := await stream.read():
            if text := log.receive_data(data):
                await response.write(text)
        log.end()
    except (StreamReset, SessionClosed, LogFramesBroken) as exc:
        await response.write(log.notice(getattr(exc, "reason", "") or str(exc)))
        if request.transport is not None:
            # All that was written goes out, but not what would end the body.
            request.transport.close()
        raise asyncio.CancelledError from None
    await response.write_eof()
    return response


def _log_call(request: web.BaseRequest, *, site: str) -> LogCall:
    namespace, pod, container = request.path.split("/")[2:5]
    query = {name: request.query[name] for name in request.query}
    return LogCall(site=site, namespace=namespace, pod=pod, container=container, query=query)


def _abort(request: web.BaseRequest) -> NoReturn:
    if request.transport is not None:
        request.transport.abort()
    raise asyncio.CancelledError from None


async def _refusal(stream: Stream, status: int, headers: list[tuple[str, str]]) -> web.Response:
    """Return a refusal whose text is cut at MAX_REFUSAL_BYTES."""
    body = bytearray()
    async with asyncio.timeout(REFUSAL_TIMEOUT_S):
        while len(body) < MAX_REFUSAL_BYTES and (data := await stream.read()):
            body += data
    if len(body) >= MAX_REFUSAL_BYTES:
        stream.reset(reason="its refusal has no end")
    text = plain_text(bytes(body[:MAX_REFUSAL_BYTES]).decode("utf-8", "replace"))
    response = web.Response(status=status, body=text.encode())
    for name, value in headers:
        if name not in ("content-length", "content-encoding"):
            response.headers[name] = value
    return response
