"""Exec, attach and port-forward: the client's connection is taken over and its bytes are relayed.

    client ──── upgrade ────> here ── extended CONNECT ──> edge ── upgrade ──> runtime
    client <─ 101, headers ── here <──── 200, headers ──── edge <──── 101 ──── runtime

From then on bytes pass both ways as they are, each direction waiting for its slower end. They are
followed (stream_observer), so that a lost stream reaches the client as an error and not as a
success.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from provider.kubelet_api.forward import pass_answer
from provider.kubelet_api.request_heads import BadAnswer, answer_headers, tunnel_request
from provider.kubelet_api.request_trace import headers_of
from provider.kubelet_api.stream_observer import CallKind, StreamObserver, observe
from provider.serving.taken_connection import ClientGone, TakenConnection
from tunnel.errors import SessionClosed, StreamReset

if TYPE_CHECKING:
    from aiohttp import web

    from provider.edge_link.edge_client import EdgeClient
    from provider.kubelet_api.user import User
    from tunnel.identity import SiteName
    from tunnel.protocol import ResponseHead
    from tunnel.stream import Stream

logger = logging.getLogger(__name__)

# The runtime has 2 min per call; then the edge dials it and it answers.
HEAD_TIMEOUT_S = 130.0
# What was written last may take this long to reach the client.
CLOSE_TIMEOUT_S = 5.0
_READ_BYTES = 128 << 10
_UPGRADES = frozenset({"spdy/3.1", "websocket"})
_STILL = {
    CallKind.EXEC: "the command may still be running",
    CallKind.ATTACH: "the container goes on",
    CallKind.PORT_FORWARD: "the forwarded connection is closed",
}


class UpgradeRequired(Exception):
    """The request is no upgrade that this call is served with."""


async def relay_upgrade(
    request: web.BaseRequest, edge: EdgeClient, kind: CallKind, *, caller: User
) -> web.StreamResponse:
    """Serve one call that takes the connection over; returns only where the edge refused it.

    Cancelled, when the client has gone, it resets the stream.

    Raises:
        UpgradeRequired: There is no upgrade in the request, or one that no runtime has.
        SiteOffline: The edge is not there.
        HeadError: The request's head is none that can be sent.
        BadAnswer: The edge's head is none that may be passed on.
        StreamReset: The edge gave up before it answered.
        SessionClosed: The link was lost before the edge answered.
        TimeoutError: There was no answer in time.
        asyncio.CancelledError: The connection was taken over and is over now.
    """
    upgrade = upgrade_token(request)
    head = tunnel_request(
        method=request.method,
        raw_path=request.raw_path,
        headers=headers_of(request),
        peer=request.remote,
        caller=caller.name,
        protocol=upgrade,
    )
    stream = await edge.open_call(head)
    try:
        async with asyncio.timeout(HEAD_TIMEOUT_S):
            answer = await stream.response()
        if answer.status != 200:
            return await pass_answer(request, stream, answer)
        relay = _accept(request, stream, answer, kind=kind, upgrade=upgrade, site=edge.site)
        await relay.run()
    except ClientGone:
        logger.debug("the client left before its call was accepted")
    finally:
        # Nothing happens where both ends have ended the stream already.
        stream.reset()
    # The connection is not aiohttp's any more: there is nothing to answer.
    raise asyncio.CancelledError


def upgrade_token(request: web.BaseRequest) -> str:
    """Return the Upgrade token of a request.

    Raises:
        UpgradeRequired: It has none, or one that is neither SPDY/3.1 nor WebSocket.
    """
    connection = ",".join(request.headers.getall("Connection", []))
    tokens = [token.strip().lower() for token in connection.split(",")]
    upgrade = request.headers.get("Upgrade", "")
    if "upgrade" not in tokens or upgrade.lower() not in _UPGRADES:
        raise UpgradeRequired("Upgrade request required")
    return upgrade


def _accept(
    request: web.BaseRequest,
    stream: Stream,
    answer: ResponseHead,
    *,
    kind: CallKind,
    upgrade: str,
    site: SiteName,
) -> _Relay:
    """Take the connection over, with the 101 as the first thing to be written."""
    headers = answer_headers(answer, is_upgrade=True)
    chosen = dict(headers)
    if len(chosen) < len(headers):
        raise BadAnswer("an upgrade that chooses twice")
    protocol_header = "sec-websocket-protocol"
    if upgrade.lower() == "spdy/3.1":
        protocol_header = "x-stream-protocol-version"
    elif "sec-websocket-accept" not in chosen:
        raise BadAnswer("an upgrade to WebSocket without sec-websocket-accept")
    subprotocol = chosen.get(protocol_header, "")
    if subprotocol and subprotocol not in _offered(request, protocol_header):
        raise BadAnswer("an upgrade to a subprotocol that nobody offered")
    observer = observe(kind=kind, upgrade=upgrade, subprotocol=subprotocol)
    lines = [("Connection", "Upgrade"), ("Upgrade", upgrade), *headers]
    text = "".join(f"{name}: {value}\r\n" for name, value in lines)
    first = f"HTTP/1.1 101 Switching Protocols\r\n{text}\r\n".encode("ascii")
    client = TakenConnection.take(request)
    return _Relay(client, stream, observer, first=first, lost=f"{_STILL[kind]}", site=site)


def _offered(request: web.BaseRequest, name: str) -> frozenset[str]:
    values = ",".join(request.headers.getall(name, []))
    return frozenset(value.strip() for value in values.split(","))


class _Relay:
    """One connection on one stream, both ways, until either end is over."""

    def __init__(
        self,
        client: TakenConnection,
        stream: Stream,
        observer: StreamObserver,
        *,
        first: bytes,
        lost: str,
        site: SiteName,
    ) -> None:
        self._client = client
        self._stream = stream
        self._observer = observer
        self._first = first
        self._lost = lost
        self._site = site

    async def run(self) -> None:
        """Relay until the end, tell the client how it ended, and close.

        Whatever happens, the connection is over then: it is not aiohttp's any more, which could
        answer an error.
        """
        try:
            await self._run()
        except Exception:
            logger.exception("a relayed call failed")
            self._client.abort()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            # The upward direction never ends a call: with TLS, a client's end is the end of its
            # connection.
            upward = tasks.create_task(self._relay_up())
            try:
                last = await self._relay_down()
                if last is None:
                    self._client.abort()
                else:
                    await self._finish(last)
            except ClientGone:
                logger.debug("the client left in the middle")
            finally:
                upward.cancel()

    async def _finish(self, last: bytes) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._client.write(last)
        except TimeoutError:
            logger.warning("a client did not read the end of its call")
            self._client.abort()
        else:
            await self._client.close(timeout_s=CLOSE_TIMEOUT_S)

    async def _relay_up(self) -> None:
        try:
            while True:
                data = await self._client.read()
                self._observer.client_data(data)
                await self._stream.write(data)
        except (ClientGone, StreamReset, SessionClosed):
            # The other direction learns of the same and acts on it.
            return

    async def _relay_down(self) -> bytes | None:
        """Relay until the edge's end and return the last bytes for the client, None for a reset."""
        try:
            await self._client.write(self._first)
            while data := await self._stream.read(_READ_BYTES):
                await self._client.write(self._observer.server_data(data))
        except SessionClosed as exc:
            logger.warning("a call was lost with its session: %s", exc.reason)
            return self._observer.server_lost(
                f"edgelet: the link to {self._site} was lost; {self._lost}"
            )
        except StreamReset as exc:
            logger.warning("a call was ended by the edge: %s", exc.reason)
            return self._observer.server_lost(
                f"edgelet: the call on {self._site} was broken off; {self._lost}"
            )
        return self._observer.server_ended(
            f"edgelet: the container runtime on {self._site} ended the call without a result; "
            f"{self._lost}"
        )
