"""One conformance suite for streams, run over memory and over real sockets.

Every test gets ``connect``: an async context manager that runs a handler at the server's end and
yields the client's session.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from websockets.asyncio.client import connect as dial
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from tests.fakes.session_pair import GET, OK, echo, read_all, session_pair
from tunnel.errors import HeadError, SessionClosed, StreamReset
from tunnel.protocol import RequestHead, ResponseHead, Role
from tunnel.session import Handler, Session
from tunnel.stream import Stream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from websockets.asyncio.connection import Connection

    Connect = Callable[[Handler], AbstractAsyncContextManager[Session]]


class SocketPipe:
    """A WebSocket of the ``websockets`` library as the session's pipe."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def receive(self) -> bytes:
        """Return the next message."""
        try:
            message = await self._connection.recv()
        except ConnectionClosed as exc:
            raise SessionClosed("the connection was lost") from exc
        assert isinstance(message, bytes)
        return message

    async def send(self, message: bytes) -> None:
        """Send one message."""
        try:
            await self._connection.send(message)
        except ConnectionClosed as exc:
            raise SessionClosed("the connection was lost") from exc

    def limit_unsent(self, limit_bytes: int) -> None:
        """Leave it to the kernel."""

    def abort(self) -> None:
        """Drop the connection."""
        self._connection.transport.abort()


@contextlib.asynccontextmanager
async def over_memory(handler: Handler) -> AsyncIterator[Session]:
    """Connect both ends by queues."""
    async with session_pair(handler) as pair:
        yield pair.client


@contextlib.asynccontextmanager
async def over_sockets(handler: Handler) -> AsyncIterator[Session]:
    """Connect both ends by a WebSocket on loopback; the client accepts, the server dials."""
    client = Session(role=Role.CLIENT, session_id="s")
    server = Session(role=Role.SERVER, session_id="s", handler=handler)

    async def accept(connection: Connection) -> None:
        await client.run(SocketPipe(connection))

    async with serve(accept, "127.0.0.1", 0, compression=None) as listener:
        port = next(iter(listener.sockets)).getsockname()[1]
        async with asyncio.TaskGroup() as tasks:
            connection = await dial(f"ws://127.0.0.1:{port}", compression=None, proxy=None)
            tasks.create_task(server.run(SocketPipe(connection)))
            try:
                yield client
            finally:
                await client.drain(0)


@pytest.fixture(params=[over_memory, over_sockets], ids=["memory", "sockets"])
def connect(request: pytest.FixtureRequest) -> Connect:
    """Give both ways to connect."""
    chosen: Connect = request.param
    return chosen


async def test_request_and_response(connect: Connect) -> None:
    """Heads arrive as they were sent, bodies both ways."""
    seen: list[RequestHead] = []

    async def handler(stream: Stream) -> None:
        seen.append(stream.request)
        body = await read_all(stream)
        await stream.respond(ResponseHead(status=201, headers=(("x-a", "1"), ("x-a", "2"))))
        await stream.write(body.upper())
        await stream.close_write()

    head = RequestHead(method="POST", path="/run/ns/p/c?cmd=ls", headers=(("x-b", "ä"),))
    async with connect(handler) as session:
        stream = await session.open(head)
        await stream.write(b"abc")
        await stream.close_write()
        response = await stream.response()
        assert await stream.response() is response
        assert response == ResponseHead(status=201, headers=(("x-a", "1"), ("x-a", "2")))
        assert await read_all(stream) == b"ABC"
        assert await stream.read() == b""
        await stream.wait_closed()
    assert seen == [head]


async def test_response_without_body(connect: Connect) -> None:
    """The head may be the end."""

    async def handler(stream: Stream) -> None:
        await stream.respond(ResponseHead(status=404), end=True)

    async with connect(handler) as session:
        stream = await session.open(GET)
        assert (await stream.response()).status == 404
        assert await stream.read() == b""
        await stream.wait_closed()


async def test_each_half_closes_alone(connect: Connect) -> None:
    """The end of one direction leaves the other one open, either way round."""
    ended = asyncio.Event()

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        if stream.request.path == "/client-ends-first":
            assert await read_all(stream) == b"question"
            await stream.write(b"answer")
            await stream.close_write()
        else:
            await stream.write(b"answer")
            await stream.close_write()
            assert await read_all(stream) == b"question"
            ended.set()

    async with connect(handler) as session:
        stream = await session.open(RequestHead(method="GET", path="/client-ends-first"))
        await stream.write(b"question")
        await stream.close_write()
        await stream.close_write()
        assert await read_all(stream) == b"answer"
        stream = await session.open(RequestHead(method="GET", path="/server-ends-first"))
        assert await read_all(stream) == b"answer"
        await stream.write(b"question")
        await stream.close_write()
        await ended.wait()


async def test_writes_of_any_size_arrive_in_order(connect: Connect) -> None:
    """Empty, tiny, and larger than every buffer; as bytes, bytearray and memoryview."""
    pieces = [b"", b"a", b"b" * 70_000, b"c" * 300_000, b"", b"d"]
    async with connect(echo) as session:
        stream = await session.open(GET)

        async def send() -> None:
            for piece in pieces:
                await stream.write(piece)
                await stream.write(bytearray(piece))
                await stream.write(memoryview(piece))
            await stream.close_write()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(send())
            received = await read_all(stream)
        assert received == b"".join(piece * 3 for piece in pieces)


async def test_read_gives_at_most_what_was_asked(connect: Connect) -> None:
    """And keeps the rest."""

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        await stream.write(b"abcdef")
        await stream.close_write()

    async with connect(handler) as session:
        stream = await session.open(GET)
        assert await stream.read(1) == b"a"
        assert await stream.read(4) == b"bcde"
        assert await stream.read(4) == b"f"
        assert await stream.read(4) == b""
        with pytest.raises(ValueError, match="0 bytes"):
            await stream.read(0)


async def test_writer_waits_for_the_reader(connect: Connect) -> None:
    """A reader that stops stops its writer after a window, a buffer, and what lies between."""
    written = 0
    wrote = asyncio.Event()

    async def handler(stream: Stream) -> None:
        nonlocal written
        await stream.respond(OK)
        while written < 10 << 20:
            await stream.write(bytes(10_000))
            written += 10_000
            wrote.set()
        await stream.close_write()

    async with connect(handler) as session:
        stream = await session.open(GET)
        await stream.response()
        with contextlib.suppress(TimeoutError):
            while True:
                wrote.clear()
                async with asyncio.timeout(0.2):
                    await wrote.wait()
        assert written <= (64 << 10) * 3
        received = await read_all(stream)
        assert len(received) == written


async def test_peers_reset_is_an_error_with_its_code(connect: Connect) -> None:
    """For the reader, the writer, and whoever waits for the response; after what had arrived."""

    async def handler(stream: Stream) -> None:
        if stream.request.path == "/answer":
            await stream.respond(OK)
            await stream.write(b"before")
            await stream.flush()
        stream.reset(0x2, "of our own")
        assert stream.is_closed
        with pytest.raises(StreamReset, match="of our own"):
            await stream.read()

    async with connect(handler) as session:
        stream = await session.open(RequestHead(method="GET", path="/answer"))
        await stream.wait_closed()
        assert await stream.response() == OK
        assert await stream.read() == b"before"
        for call in (stream.read(), stream.write(b"x"), stream.close_write(), stream.flush()):
            with pytest.raises(StreamReset, match=r"reset by peer \(INTERNAL_ERROR\)") as caught:
                await call
            assert caught.value.error_code == 0x2
        stream = await session.open(GET)
        with pytest.raises(StreamReset):
            await stream.response()


async def test_own_reset_reaches_the_handler_and_is_idempotent(connect: Connect) -> None:
    """CANCEL by default; what was buffered here is dropped."""
    caught: asyncio.Future[StreamReset] = asyncio.get_running_loop().create_future()

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        await stream.write(b"unread")
        try:
            await stream.read()
        except StreamReset as exc:
            caught.set_result(exc)
            raise

    async with connect(handler) as session:
        stream = await session.open(GET)
        await stream.response()
        stream.reset(reason="kubectl went away")
        stream.reset(0x2, "again")
        with pytest.raises(StreamReset, match="kubectl went away"):
            await stream.read()
        assert (await caught).error_code == 0x8


async def test_leaving_the_context_resets_an_unfinished_stream(connect: Connect) -> None:
    """And leaves a finished one as it is."""
    async with connect(echo) as session:
        async with await session.open(GET) as stream:
            await stream.response()
        with pytest.raises(StreamReset, match="left before its end"):
            await stream.read()
        async with await session.open(GET) as stream:
            await stream.write(b"abc")
            await stream.close_write()
            await stream.wait_closed()
        assert await read_all(stream) == b"abc"


async def test_cancelled_read_loses_nothing(connect: Connect) -> None:
    """Cancel it at every moment around the arrival of bytes."""
    async with connect(echo) as session:
        stream = await session.open(GET)
        await stream.response()
        received = bytearray()
        for number in range(50):
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(stream.read())
                await stream.write(bytes([number]))
                for _ in range(number % 7):
                    await asyncio.sleep(0)
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    received += await reading
        await stream.close_write()
        received += await read_all(stream)
        assert bytes(received) == bytes(range(50))


async def test_cancelled_write_is_whole_or_nothing(connect: Connect) -> None:
    """For pieces up to 64 KiB."""
    go_on = asyncio.Event()

    async def handler(stream: Stream) -> None:
        await go_on.wait()
        await stream.respond(OK)
        while data := await stream.read():
            await stream.write(data)
        await stream.close_write()

    async with connect(handler) as session:
        stream = await session.open(GET)
        outcomes: list[bool] = []
        for number in range(6):
            try:
                async with asyncio.timeout(0.1):
                    await stream.write(bytes([number]) * 40_000)
            except TimeoutError:
                outcomes.append(False)
            else:
                outcomes.append(True)
        assert not all(outcomes)
        go_on.set()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stream.close_write())
            received = await read_all(stream)
        written = [number for number, outcome in enumerate(outcomes) if outcome]
        assert received == b"".join(bytes([number]) * 40_000 for number in written)


async def test_lost_session_is_an_error_for_every_call(connect: Connect) -> None:
    """Never b"": only what had arrived before."""

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        await stream.write(b"before")
        await stream.wait_closed()

    async with connect(handler) as session:
        stream = await session.open(GET)
        silent = await session.open(GET)
        assert await stream.read(1) == b"b"
        await session.drain(0, reason="the test ends")
        assert await stream.read() == b"efore"
        for call in (stream.read(), stream.write(b"x"), stream.close_write(), silent.write(b"x")):
            with pytest.raises(SessionClosed, match="stopping"):
                await call
        with pytest.raises(SessionClosed):
            await session.open(GET)


async def test_orderly_end_survives_the_loss_of_the_session(connect: Connect) -> None:
    """What ended before is complete, and is read as such."""

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        await stream.write(b"all of it")
        await stream.close_write()
        await stream.wait_closed()

    async with connect(handler) as session:
        stream = await session.open(GET)
        assert await stream.read(3) == b"all"
        await stream.close_write()
        await stream.wait_closed()
        await session.drain(0)
        assert await read_all(stream) == b" of it"


async def test_refused_head_leaves_the_stream_answerable(connect: Connect) -> None:
    """The handler may send another one."""

    async def handler(stream: Stream) -> None:
        with pytest.raises(HeadError):
            await stream.respond(ResponseHead(status=101))
        await stream.respond(ResponseHead(status=502), end=True)

    async with connect(handler) as session:
        stream = await session.open(GET)
        assert (await stream.response()).status == 502


async def test_misuse_is_an_assertion(connect: Connect) -> None:
    """Our own bugs do not look like the peer's faults."""
    outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handler(stream: Stream) -> None:
        with pytest.raises(AssertionError, match="before its response"):
            await stream.write(b"x")
        await stream.respond(OK)
        with pytest.raises(AssertionError, match="twice"):
            await stream.respond(OK)
        await stream.close_write()
        with pytest.raises(AssertionError, match="after its end"):
            await stream.write(b"x")
        outcome.set_result(None)

    async with connect(handler) as session:
        await session.open(GET)
        await outcome


class _Deaf:
    """An owner that takes note of nothing."""

    def output_ready(self, stream: Stream) -> None: ...

    def input_taken(self, stream: Stream, size: int) -> None: ...

    def respond(self, stream: Stream, head: ResponseHead, *, end: bool) -> None: ...

    def reset(self, stream: Stream, *, error_code: int) -> None: ...

    def ended(self, stream: Stream) -> None: ...


FRAME_BYTES = 16_320


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_what_waits_for_a_reader_keeps_no_whole_message(is_cancelled: bool) -> None:
    """Bytes are a view of their message only until the reader that waits for them has run."""
    stream = Stream(_Deaf(), 1, GET, is_server=False)
    messages = [bytearray([number]) * 65_536 for number in range(10)]
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(stream.read())
        await asyncio.sleep(0)
        for message in messages:
            stream.receive_data(memoryview(message)[:FRAME_BYTES])
        if is_cancelled:
            reading.cancel()
    received = b"" if is_cancelled else reading.result()
    stream.receive_data(memoryview(messages[0])[:1])
    wanted = b"".join(bytes(message[:FRAME_BYTES]) for message in messages) + messages[0][:1]
    for message in messages:
        message.clear()  # would raise BufferError while there is a view
    while len(received) < len(wanted):
        received += await stream.read()
    assert received == wanted


async def test_a_reader_may_follow_one_that_was_cancelled_a_moment_ago() -> None:
    """The first has not run yet when the second begins; it gets the bytes."""
    stream = Stream(_Deaf(), 1, GET, is_server=False)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(stream.read())
        await asyncio.sleep(0)
        second = tasks.create_task(stream.read())
        await asyncio.sleep(0)
        first.cancel()
        stream.receive_data(b"bytes")
        assert await second == b"bytes"
