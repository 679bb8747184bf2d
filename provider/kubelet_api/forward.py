"""Plain calls: the request goes to the edge, its answer comes back, streamed as it comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

from provider.kubelet_api.request_heads import answer_headers, tunnel_request
from tunnel.errors import SessionClosed, StreamReset

if TYPE_CHECKING:
    from provider.edge_link.edge_client import EdgeClient
    from provider.kubelet_api.user import User
    from tunnel.protocol import ResponseHead
    from tunnel.stream import Stream

# A kubelet answers these from memory or from its runtime, which has 2 min per call.
HEAD_TIMEOUT_S = 130.0
# What runs in a container may take as long as a kubelet's server lets it (pkg/kubelet/server
# ReadTimeout).
RUN_HEAD_TIMEOUT_S = 4 * 3600.0


async def forward(
    request: web.BaseRequest, edge: EdgeClient, *, caller: User, head_timeout_s: float
) -> web.StreamResponse:
    """Forward one call and stream its answer.

    Cancelled, when the client has gone, it resets the stream.

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
        headers=request.headers.items(),
        peer=request.remote,
        caller=caller.name,
    )
    stream = await edge.open_call(head)
    try:
        async with asyncio.timeout(head_timeout_s):
            await stream.close_write()
            answer = await stream.response()
        return await pass_answer(request, stream, answer)
    except BaseException:
        stream.reset()
        raise


async def pass_answer(
    request: web.BaseRequest, stream: Stream, head: ResponseHead
) -> web.StreamResponse:
    """Pass an answer on: status, headers, then the body as it comes, with back-pressure.

    The head goes out at once, before there is a body. A stream that is lost in the middle of the
    body aborts the client's connection: a body that merely ended would look complete.

    Raises:
        BadAnswer: The head is none that may be passed on; nothing was sent.
    """
    response = web.StreamResponse(status=head.status)
    for name, value in answer_headers(head):
        response.headers.add(name, value)
    if response.content_length is None:
        response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        while data := await stream.read():
            await response.write(data)
    except (StreamReset, SessionClosed):
        if request.transport is not None:
            request.transport.abort()
        raise asyncio.CancelledError from None
    await response.write_eof()
    return response
