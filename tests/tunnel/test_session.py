"""Sessions: how they live, what they refuse, and how they end. All on virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.memory_pipe import memory_pipes
from tests.fakes.session_pair import GET, OK, echo, read_all, session_pair
from tunnel.errors import (
    ExcessiveLoad,
    FrameTooLarge,
    HeadError,
    PipeError,
    ProtocolError,
    SessionClosed,
    StreamReset,
)
from tunnel.frames import PREFACE
from tunnel.protocol import RequestHead, Role
from tunnel.session import Limits, Session

if TYPE_CHECKING:
    from tunnel.stream import Stream

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime, pytest.mark.timeout(30)]

SYNC = RequestHead(method="CONNECT", path="/sync", protocol="edgelet.sync.v1")


async def hold(stream: Stream) -> None:
    """Answer, and keep the stream open until the other end is done with it."""
    await stream.respond(OK)
    await stream.wait_closed()


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream_id: int = 0) -> bytes:
    """Write one HTTP/2 frame."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream_id.to_bytes(4, "big") + payload


# Life.


async def test_session_is_live_between_settings_and_end() -> None:
    """And knows its round trip from the first PING on."""
    async with session_pair(echo, delay_s=0.05) as pair:
        assert not pair.client.is_live
        stream = await pair.client.open(GET)
        assert pair.client.is_live
        await stream.response()
        await asyncio.sleep(0.2)
        assert pair.client.round_trip_s == pytest.approx(0.1, abs=0.01)
        assert pair.client.open_streams == pair.server.open_streams == 1
        stream.reset()
        await asyncio.sleep(0.2)
        assert pair.client.open_streams == pair.server.open_streams == 0
    assert not pair.client.is_live
    assert pair.client.close_reason == "the connection was lost"
    assert pair.client_run.result() == "the connection was lost"


async def test_extended_connect_waits_for_the_servers_settings() -> None:
    """They must allow it; the handler sees the token."""
    seen: list[RequestHead] = []

    async def handler(stream: Stream) -> None:
        seen.append(stream.request)
        await echo(stream)

    async with session_pair(handler, delay_s=1.0) as pair:
        stream = await pair.client.open(SYNC)
        await stream.write(b"x")
        await stream.close_write()
        assert await read_all(stream) == b"x"
    assert seen[0].protocol == "edgelet.sync.v1"


async def test_extended_connect_towards_a_peer_that_cannot_is_refused() -> None:
    """A peer that is no edge of ours."""
    ours, theirs = memory_pipes()
    client = Session(role=Role.CLIENT, session_id="s")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(client.run(ours))
        await theirs.send(b"\x01" + frame(4))
        with pytest.raises(HeadError, match="extended CONNECT"):
            await client.open(SYNC)
        await client.open(GET)
        theirs.cut()


async def test_open_waits_for_a_free_stream() -> None:
    """In the order of asking; a call that is cancelled gives its turn away."""
    limits = Limits(max_streams=2)
    async with session_pair(hold, server_limits=limits) as pair:
        first, _ = await pair.client.open(GET), await pair.client.open(GET)
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(pair.client.open(GET)) for _ in range(3)]
            await asyncio.sleep(10)
            assert not any(task.done() for task in waiting)
            waiting[0].cancel()
            first.reset()
            await asyncio.sleep(0)
            second = await waiting[1]
            assert not waiting[2].done()
            second.reset()
            await waiting[2]
        assert pair.server.open_streams <= 2


async def test_handler_that_fails_ends_only_its_stream(caplog: pytest.LogCaptureFixture) -> None:
    """With INTERNAL_ERROR, and one line of log."""

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        if stream.request.path.startswith("/bad"):
            raise RuntimeError("broken")
        await hold_on.wait()
        await stream.close_write()

    hold_on = asyncio.Event()
    async with session_pair(handler) as pair:
        good = await pair.client.open(GET)
        bad = await pair.client.open(RequestHead(method="GET", path="/bad?secret=1"))
        with pytest.raises(StreamReset) as caught:
            await bad.read()
        assert caught.value.error_code == 0x2
        hold_on.set()
        assert await read_all(good) == b""
    records = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(records) == 1
    assert "/bad" in records[0].getMessage()
    assert "secret" not in records[0].getMessage()


async def test_handler_that_returns_early_resets_its_stream() -> None:
    """A half response never looks like a whole one."""

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        await stream.write(b"half")

    async with session_pair(handler) as pair:
        stream = await pair.client.open(GET)
        with pytest.raises(StreamReset, match="INTERNAL_ERROR"):
            await read_all(stream)


async def test_complete_response_ends_a_request_that_goes_on() -> None:
    """The reader gets all of it, the writer learns that nobody listens."""

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        await stream.write(bytes(200_000))
        await stream.close_write()

    async with session_pair(handler) as pair:
        stream = await pair.client.open(GET)
        assert await read_all(stream) == bytes(200_000)
        await stream.wait_closed()
        with pytest.raises(StreamReset, match=r"reset by peer \(NO_ERROR\)"):
            await stream.write(b"x")


async def test_handler_of_a_reset_stream_may_clean_up_and_is_cancelled_then() -> None:
    """Two seconds, not for ever."""
    ended_at: list[float] = []

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended_at.append(asyncio.get_running_loop().time())

    async with session_pair(handler) as pair:
        stream = await pair.client.open(GET)
        await stream.response()
        start = asyncio.get_running_loop().time()
        stream.reset()
        await asyncio.sleep(5)
        assert ended_at == [pytest.approx(start + 2, abs=0.1)]


async def test_handlers_are_bounded() -> None:
    """Streams that are cancelled leave handlers behind for a moment: not without end."""
    running = 0

    async def handler(stream: Stream) -> None:
        nonlocal running
        running += 1
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            running -= 1

    limits = Limits(max_streams=8)
    async with session_pair(handler, client_limits=limits, server_limits=limits) as pair:
        refused = 0
        for _ in range(100):
            stream = await pair.client.open(GET)
            await asyncio.sleep(0.001)
            assert running <= 16
            refused += stream.is_closed
            stream.reset()
        assert refused == 100 - 16


# Flow.


async def test_stuck_reader_costs_nobody_else() -> None:
    """Its window fills; the others go on, and the connection has its credit back."""

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        with contextlib.suppress(StreamReset, SessionClosed):
            for _ in range(400):
                await stream.write(bytes(64 << 10))
            await stream.close_write()

    async with session_pair(handler, delay_s=0.001) as pair:
        stuck = [await pair.client.open(GET) for _ in range(8)]
        flowing = await pair.client.open(GET)
        assert len(await read_all(flowing)) == 400 * (64 << 10)
        assert sum(stream._inbox.size for stream in stuck) == 8 * (64 << 10)
        for stream in stuck:
            stream.reset()


async def test_window_grows_on_a_long_link() -> None:
    """100 ms of round trip: 64 KiB would be 0.6 MB/s."""

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        for _ in range(500):
            await stream.write(bytes(64 << 10))
        await stream.close_write()

    async with session_pair(handler, delay_s=0.05, room_bytes=4 << 20) as pair:
        stream = await pair.client.open(GET)
        start = asyncio.get_running_loop().time()
        assert len(await read_all(stream)) == 500 * (64 << 10)
        assert asyncio.get_running_loop().time() - start < 5.0


async def test_what_ended_calls_left_unread_keeps_windows_small() -> None:
    """A caller who stops at the end of a log holds a part of the budget until he reads it."""
    window_bytes = 64 << 10

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        for _ in range(1 if stream.request.path == "/short" else 20):
            await stream.write(bytes(window_bytes))
        await stream.close_write()

    limits = Limits(max_streams=4, receive_budget_bytes=5 * window_bytes)
    async with session_pair(handler, delay_s=0.05, client_limits=limits) as pair:
        flow = pair.client._streams._flow
        left = await pair.client.open(RequestHead(method="GET", path="/short"))
        await left.close_write()
        await left.wait_closed()
        assert left.unread_bytes == window_bytes
        for largest, unread in ((window_bytes, window_bytes), (2 * window_bytes, 0)):
            flowing = await pair.client.open(RequestHead(method="GET", path="/long"))
            await flowing.close_write()
            seen = set()
            while await flowing.read():
                seen |= {flow.window_bytes(flowing.id)} if not flowing.is_closed else set()
            assert max(seen) == largest
            assert len(await read_all(left)) == unread


async def test_memory_below_http2_is_bounded() -> None:
    """No more than the pipe takes, however much is written."""

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        for _ in range(50):
            await stream.write(bytes(64 << 10))
        await stream.close_write()

    async with session_pair(handler, delay_s=0.001) as pair:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(10):
                stream = await pair.client.open(GET)
                tasks.create_task(read_all(stream))
        assert pair.server_pipe.max_waiting_bytes <= 2 * (64 << 10)


# Ends.


async def test_frozen_peer_is_dead_after_ten_seconds() -> None:
    """Its own PING unanswered, nothing acknowledged: streams end with the reason."""
    async with session_pair(hold, delay_s=0.01) as pair:
        stream = await pair.client.open(GET)
        await stream.response()
        await asyncio.sleep(6)
        pair.client_pipe.stall()
        start = asyncio.get_running_loop().time()
        with pytest.raises(SessionClosed, match="no answer to a PING for 10 s"):
            await stream.read()
        assert 10 <= asyncio.get_running_loop().time() - start <= 15.1


async def test_peer_that_never_speaks_is_dead_too() -> None:
    """A handshake that never comes does not hold anything for ever."""
    ours, _ = memory_pipes()
    client = Session(role=Role.CLIENT, session_id="s")
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(client.run(ours))
        with pytest.raises(SessionClosed, match="PING"):
            await client.open(GET)
    assert asyncio.get_running_loop().time() == pytest.approx(10, abs=0.1)
    assert "PING" in run.result()


async def test_idle_session_lives() -> None:
    """For an hour, on its PINGs."""
    async with session_pair(echo, delay_s=0.1) as pair:
        await asyncio.sleep(3600)
        assert pair.client.is_live
        assert pair.server.is_live


async def test_cut_ends_everything_with_its_reason() -> None:
    """Streams, those who wait for one, and the handlers."""
    lost: list[str] = []

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        try:
            await stream.read()
        except SessionClosed as exc:
            lost.append(exc.reason)
            raise

    limits = Limits(max_streams=1)
    async with session_pair(handler, server_limits=limits) as pair:
        stream = await pair.client.open(GET)
        await stream.response()
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(asyncio.wait([tasks.create_task(_closed(pair.client))]))
            await asyncio.sleep(1)
            pair.client_pipe.cut()
            await waiting
        with pytest.raises(SessionClosed, match="the connection was lost"):
            await stream.read()
    assert lost == ["the connection was lost"]


async def _closed(session: Session) -> None:
    with pytest.raises(SessionClosed, match="the connection was lost"):
        await session.open(GET)


async def test_cancelled_run_ends_the_streams() -> None:
    """Also without a word to the peer, which sees the connection go."""
    async with session_pair(hold) as pair:
        stream = await pair.client.open(GET)
        await stream.response()
        pair.client_run.cancel()
        with pytest.raises(SessionClosed, match="cancelled"):
            await stream.read()
        assert await pair.server_run == "the other end hung up"


async def test_handlers_are_stopped_with_the_session() -> None:
    """Two seconds after their streams."""

    async def handler(stream: Stream) -> None:
        await asyncio.get_running_loop().create_future()

    async with session_pair(handler) as pair:
        await pair.client.open(GET)
        await asyncio.sleep(1)
        start = asyncio.get_running_loop().time()
        pair.client_pipe.cut()
        await pair.server_run
        assert asyncio.get_running_loop().time() - start == pytest.approx(2, abs=0.1)


# Drain.


@pytest.mark.parametrize("by", ["client", "server"])
async def test_drain_lets_running_streams_end(by: str) -> None:
    """Then the session ends before the deadline, and both ends know why."""
    async with session_pair(echo, delay_s=0.01) as pair:
        stream = await pair.client.open(GET)
        await stream.response()
        session = pair.client if by == "client" else pair.server
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(session.drain(10))
            await asyncio.sleep(1)
            assert pair.client.draining
            assert pair.server.draining
            with pytest.raises(SessionClosed, match="stopping"):
                await pair.client.open(GET)
            await stream.write(b"to the end")
            await stream.close_write()
            assert await read_all(stream) == b"to the end"
        assert asyncio.get_running_loop().time() < 5
        assert "stopping" in await pair.client_run
        assert "stopping" in await pair.server_run
        other = pair.server if by == "client" else pair.client
        assert other.close_reason == "the other end closed the session: it is stopping"


@pytest.mark.parametrize("by", ["client", "server"])
async def test_drain_ends_what_outlives_the_deadline(by: str) -> None:
    """With an explicit reason on both ends."""
    lost: list[str] = []

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        try:
            await stream.read()
        except SessionClosed as exc:
            lost.append(exc.reason)

    async with session_pair(handler, delay_s=0.01) as pair:
        stream = await pair.client.open(GET)
        await stream.response()
        session = pair.client if by == "client" else pair.server
        await session.drain(3, reason="an upgrade")
        assert asyncio.get_running_loop().time() == pytest.approx(3.1, abs=0.1)
        with pytest.raises(SessionClosed) as caught:
            await stream.read()
        await pair.server_run
    reasons = {caught.value.reason, *lost}
    assert reasons == {
        "this end of the tunnel is stopping",
        "the other end closed the session: an upgrade",
    }


async def test_drain_of_a_session_that_ended_or_never_ran_returns() -> None:
    """Nothing is left to wait for."""
    session = Session(role=Role.CLIENT, session_id="s")
    await session.drain(10)
    with pytest.raises(SessionClosed):
        await session.open(GET)
    ours, _ = memory_pipes()
    assert "stopping" in await session.run(ours)
    await session.drain(10)
    assert asyncio.get_running_loop().time() == 0


async def test_drain_towards_a_frozen_peer_is_bounded() -> None:
    """The farewell does not wait for ever."""
    async with session_pair(hold) as pair:
        await (await pair.client.open(GET)).response()
        pair.client_pipe.stall()
        start = asyncio.get_running_loop().time()
        await pair.client.drain(1)
        assert asyncio.get_running_loop().time() - start <= 3.1


# Bad input.


async def _refused_by_server(*messages: bytes) -> tuple[ProtocolError, bytes]:
    """Send messages to a server, and return what it raises and the last that it sent."""
    theirs, ours = memory_pipes()
    server = Session(role=Role.SERVER, session_id="s", handler=hold)
    run = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        try:
            await server.run(ours)
        except ProtocolError as exc:
            run.set_result(exc)

    last = b""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve())
        sending = tasks.create_task(_send_all(theirs, messages))
        with contextlib.suppress(SessionClosed):
            while True:
                last = await theirs.receive()
        sending.cancel()
    assert not server.is_live
    return run.result(), last


async def _send_all(pipe: object, messages: tuple[bytes, ...]) -> None:
    with contextlib.suppress(SessionClosed):
        for message in messages:
            await pipe.send(message)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (b"\x07nonsense", PipeError),
        (b"\x02" + (1 << 63).to_bytes(8, "big"), PipeError),
        (b"\x01GET / HTTP/1.1", ProtocolError),
        (b"\x01" + PREFACE + b"\xff\xff\xff" + bytes(6), FrameTooLarge),
        (b"\x01" + PREFACE + frame(0, b"x", stream_id=9), ProtocolError),
    ],
)
async def test_broken_rules_end_the_session_with_a_last_word(
    message: bytes, error: type[ProtocolError]
) -> None:
    """A named error here, GOAWAY there."""
    raised, last = await _refused_by_server(message)
    assert isinstance(raised, error)
    assert last[0] == 1
    assert str(raised).encode() in last


async def test_floods_end_the_session() -> None:
    """PINGs and SETTINGS without end."""
    for flood in (frame(6, bytes(8)), frame(4)):
        message = b"\x01" + flood * 1000
        raised, _ = await _refused_by_server(b"\x01" + PREFACE + frame(4), *[message] * 20)
        assert isinstance(raised, ExcessiveLoad)


async def test_peer_that_takes_no_answers_is_left() -> None:
    """PINGs whose answers it does not read: bounded below the flood's limit as well."""
    theirs, ours = memory_pipes()
    server = Session(role=Role.SERVER, session_id="s", handler=hold)
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(_outcome(server, ours))
        await theirs.send(b"\x01" + PREFACE + frame(4))
        with contextlib.suppress(SessionClosed):
            for _ in range(10_000):
                # Slow enough for the flood's limit, and much more than 1 MiB of answers.
                await theirs.send(b"\x01" + frame(6, bytes(8)) * 300)
                await asyncio.sleep(0.7)
        outcome = await run
    assert "does not take them" in outcome or "PING" in outcome


async def _outcome(session: Session, pipe: object) -> str:
    try:
        return await session.run(pipe)  # type: ignore[arg-type]
    except ProtocolError as exc:
        return str(exc)


async def test_edge_that_opens_streams_is_refused() -> None:
    """The client ends the session by name."""
    ours, theirs = memory_pipes()
    client = Session(role=Role.CLIENT, session_id="s")
    async with asyncio.TaskGroup() as tasks:
        run = tasks.create_task(_outcome(client, ours))
        block = b"\x82\x87\x84\x01\x01e"  # GET https / with :authority e
        await theirs.send(b"\x01" + frame(4) + frame(1, block, flags=0x5, stream_id=2))
        assert "opened a stream" in await run
        theirs.abort()


async def test_rapid_resets_end_the_session_or_are_bounded() -> None:
    """A client that opens and cancels without end."""
    block = b"\x82\x87\x84\x01\x01e"
    reset = (8).to_bytes(4, "big")
    calls = [
        frame(1, block, flags=0x4, stream_id=2 * number + 1)
        + frame(3, reset, stream_id=2 * number + 1)
        for number in range(12_000)
    ]
    messages = [b"\x01" + b"".join(calls[start : start + 500]) for start in range(0, 12_000, 500)]
    raised, _ = await _refused_by_server(b"\x01" + PREFACE + frame(4), *messages)
    assert isinstance(raised, ExcessiveLoad)


async def test_session_runs_once_and_only_clients_open() -> None:
    """Both are mistakes of ours."""
    async with session_pair(echo) as pair:
        await pair.client.open(GET)
        with pytest.raises(AssertionError, match="only the client"):
            await pair.server.open(GET)
        with pytest.raises(AssertionError, match="once"):
            await pair.client.run(pair.client_pipe)


async def test_server_without_a_handler_refuses() -> None:
    """REFUSED_STREAM tells the client that nothing was done."""
    ours, theirs = memory_pipes()
    client = Session(role=Role.CLIENT, session_id="s")
    server = Session(role=Role.SERVER, session_id="s")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(client.run(ours))
        tasks.create_task(server.run(theirs))
        stream = await client.open(GET)
        with pytest.raises(StreamReset) as caught:
            await stream.response()
        assert caught.value.error_code == 0x7
        ours.cut()


# Anything at all.

_STEP = st.tuples(
    st.sampled_from(["write", "read", "close", "reset", "cancel_read", "cancel_write", "wait"]),
    st.integers(0, 3),
    st.integers(1, 200_000),
)


@pytest.mark.parametrize("delay_s", [0.0, 0.01])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(_STEP, max_size=8) | st.lists(_STEP, min_size=25, max_size=60),
    server_reads=st.integers(1, 100_000),
)
async def test_any_interleaving_keeps_bytes_in_order(
    delay_s: float, steps: list[tuple[str, int, int]], server_reads: int
) -> None:
    """None lost, none doubled, memory bounded; whatever is opened, sent, reset or cancelled."""

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        while data := await stream.read(server_reads):
            await stream.write(data)
        await stream.close_write()

    async with session_pair(handler, delay_s=delay_s) as pair:
        calls = [_Call(await pair.client.open(GET)) for _ in range(4)]
        for step, number, size in steps:
            await calls[number].take(step, size)
            flow = pair.client._streams._flow
            streams = [call._stream for call in calls if not call._stream.is_closed]
            buffered_bytes = sum(stream._inbox.size for stream in streams)
            assert buffered_bytes <= flow.granted_bytes <= 64 << 20
        async with asyncio.TaskGroup() as tasks:
            for call in calls:
                tasks.create_task(call.finish())
        await asyncio.sleep(5)
        assert pair.client.open_streams == pair.server.open_streams == 0
        assert len(pair.server._handlers) == 0
        assert pair.client.is_live
        assert pair.server.is_live


class _Call:
    """One stream to the echo, and what it must give back."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._sent = bytearray()
        self._received = bytearray()
        self._next = 0
        self._is_closed = False
        self._is_reset = False

    async def take(self, step: str, size: int) -> None:
        """Do one step, within 50 ms of virtual time."""
        if self._is_reset:
            return
        match step:
            case "write" | "cancel_write":
                await self._write(size, patience_s=0.05 if step == "write" else 0.0)
            case "read" | "cancel_read":
                await self._read(size, patience_s=0.05 if step == "read" else 0.0)
            case "close":
                self._is_closed = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await self._stream.close_write()
            case "reset":
                self._is_reset = True
                self._stream.reset()
            case _:
                await asyncio.sleep(size / 1e6)

    async def _write(self, size: int, *, patience_s: float) -> None:
        if self._is_closed:
            return
        # One piece, so that a cancelled write is whole or nothing.
        piece = bytes([self._next % 256]) * min(size, 64 << 10)
        self._next += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self._stream.write(piece)
                self._sent += piece

    async def _read(self, size: int, *, patience_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                self._received += await self._stream.read(size)
        assert self._sent.startswith(self._received)

    async def finish(self) -> None:
        """Close, and read to the end."""
        if self._is_reset:
            return
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._stream.close_write())
            self._received += await read_all(self._stream)
        assert self._received == self._sent
