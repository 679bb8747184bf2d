"""What a broken or hostile peer may send: each ends in a named error, in little memory.

And each ends one session alone: another one in the same process goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import tracemalloc
from typing import TYPE_CHECKING

import hpack
import pytest

from tests.fakes.memory_pipe import MemoryPipe, memory_pipes
from tests.fakes.session_pair import GET, OK, echo, session_pair
from tunnel.errors import (
    ExcessiveLoad,
    FrameTooLarge,
    PipeError,
    ProtocolError,
    SessionClosed,
    StreamReset,
    WindowExceeded,
)
from tunnel.frames import PREFACE
from tunnel.protocol import Role
from tunnel.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tunnel.stream import Stream

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime, pytest.mark.timeout(60)]

DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 0x1, 0x4
PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, ENHANCE_YOUR_CALM = 0x1, 0x3, 0x6, 0xB
# GET https / with :authority e, from HPACK's static table.
HEAD = b"\x82\x87\x84\x01\x01e"
MAX_PEAK_BYTES = 8 << 20


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream_id: int = 0) -> bytes:
    """Write one HTTP/2 frame."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream_id.to_bytes(4, "big") + payload


def opened(stream_id: int, *, flags: int = END_HEADERS) -> bytes:
    """Write the frame that opens a stream."""
    return frame(HEADERS, HEAD, flags=flags, stream_id=stream_id)


def messages(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Pack frames into messages of the pipe, as they come."""
    waiting = b""
    for one in frames:
        if len(waiting) + len(one) > 60_000:
            yield b"\x01" + waiting
            waiting = b""
        waiting += one
    yield b"\x01" + waiting


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a session took it: its error, the code that the peer was told, and the memory."""

    error: ProtocolError
    goaway_code: int
    peak_bytes: int


async def hold(stream: Stream) -> None:
    """Answer, and read nothing."""
    await stream.respond(OK)
    await stream.wait_closed()


async def attack(*frames: bytes, role: Role = Role.SERVER, more: Iterable[bytes] = ()) -> Outcome:
    """Send frames to a session, beside another that has to go on."""
    preface = PREFACE if role is Role.SERVER else b""
    sent = messages(itertools.chain([preface + frame(SETTINGS)], frames, more))
    async with session_pair(echo) as other:
        stream = await other.client.open(GET)
        await stream.write(b"a")
        assert await stream.read() == b"a"
        outcome = await _attack(role, sent)
        await stream.write(b"b")
        assert await stream.read() == b"b"
        stream.reset()
    assert outcome.peak_bytes < MAX_PEAK_BYTES
    return outcome


async def _attack(role: Role, sent: Iterable[bytes]) -> Outcome:
    theirs, ours = memory_pipes()
    session = Session(role=role, session_id="s", handler=hold)
    received = bytearray()
    tracemalloc.start()
    try:
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(_error_of(session, ours))
            sending = tasks.create_task(_send_all(theirs, sent))
            with contextlib.suppress(SessionClosed):
                while True:
                    message = await theirs.receive()
                    received += message[1:] if message[0] == 1 else b""
            sending.cancel()
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert session.open_streams == 0
    return Outcome(error=await running, goaway_code=_goaway_code(received), peak_bytes=peak_bytes)


async def _error_of(session: Session, pipe: MemoryPipe) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        await session.run(pipe)
    return caught.value


async def _send_all(pipe: MemoryPipe, sent: Iterable[bytes]) -> None:
    with contextlib.suppress(SessionClosed):
        for message in sent:
            await pipe.send(message)


def _goaway_code(received: bytearray) -> int:
    position = len(PREFACE) if received.startswith(PREFACE) else 0
    codes = []
    while position < len(received):
        length = int.from_bytes(received[position : position + 3], "big")
        if received[position + 3] == 7:
            codes.append(int.from_bytes(received[position + 13 : position + 17], "big"))
        position += 9 + length
    (code,) = codes
    return code


async def test_frame_of_16_mib_is_refused_at_its_header() -> None:
    """Before any of it is collected."""
    header = b"\xff\xff\xff" + bytes([DATA, 0]) + (1).to_bytes(4, "big")
    outcome = await attack(opened(1), header, more=itertools.repeat(bytes(50_000), 400))
    assert isinstance(outcome.error, FrameTooLarge)
    assert outcome.goaway_code == FRAME_SIZE_ERROR


async def test_data_on_a_stream_that_was_never_opened() -> None:
    """Nobody could have been meant."""
    outcome = await attack(frame(DATA, b"x", stream_id=9))
    assert outcome.goaway_code == PROTOCOL_ERROR


async def test_data_on_stream_zero() -> None:
    """It is the connection's own."""
    outcome = await attack(frame(DATA, b"x"))
    assert outcome.goaway_code == PROTOCOL_ERROR


async def test_data_on_a_stream_that_its_peer_has_ended() -> None:
    """It does not get into the stream, which is reset; the session goes on (RFC 9113 §5.1)."""
    lost: list[str] = []

    async def handler(stream: Stream) -> None:
        await stream.respond(OK)
        assert await stream.read() == b""
        await stream.wait_closed()
        with pytest.raises(StreamReset) as caught:
            await stream.write(b"x")
        lost.append(caught.value.reason)

    theirs, ours = memory_pipes()
    server = Session(role=Role.SERVER, session_id="s", handler=handler)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(server.run(ours))
        await theirs.send(b"\x01" + PREFACE + frame(SETTINGS))
        await theirs.send(b"\x01" + opened(1, flags=END_HEADERS | END_STREAM))
        await asyncio.sleep(1)
        await theirs.send(b"\x01" + frame(DATA, b"late", stream_id=1))
        await asyncio.sleep(1)
        assert server.is_live
        theirs.cut()
    assert lost == ["reset for a fault of the peer (STREAM_CLOSED)"]


async def test_data_on_a_stream_that_its_peer_has_reset() -> None:
    """Without end: what is answered for each is bounded too."""
    late = frame(DATA, b"", stream_id=1)
    outcome = await attack(
        opened(1),
        frame(RST_STREAM, (8).to_bytes(4, "big"), stream_id=1),
        more=itertools.repeat(late, 20_000),
    )
    assert outcome.goaway_code == ENHANCE_YOUR_CALM


async def test_payload_without_end_on_a_stream_that_its_peer_has_reset() -> None:
    """No window of a stream is left to be used up."""
    late = frame(DATA, bytes(100), stream_id=1)
    outcome = await attack(
        opened(1),
        frame(RST_STREAM, (8).to_bytes(4, "big"), stream_id=1),
        more=itertools.repeat(late, 100_000),
    )
    assert isinstance(outcome.error, WindowExceeded)
    assert outcome.goaway_code == FLOW_CONTROL_ERROR


async def test_ends_without_end() -> None:
    """Of a stream that has ended, again and again."""
    end = frame(DATA, flags=END_STREAM, stream_id=1)
    outcome = await attack(opened(1), more=itertools.repeat(end, 20_000))
    assert isinstance(outcome.error, ExcessiveLoad)
    assert outcome.goaway_code == ENHANCE_YOUR_CALM


async def test_frames_behind_a_goaway() -> None:
    """Why the peer left is what people are told, not that it went on."""
    theirs, ours = memory_pipes()
    server = Session(role=Role.SERVER, session_id="s", handler=hold)
    goaway = frame(7, bytes(4) + (2).to_bytes(4, "big") + b"the disk is full")
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(server.run(ours))
        await theirs.send(b"\x01" + PREFACE + frame(SETTINGS) + opened(1))
        await theirs.send(b"\x01" + goaway + frame(PING, bytes(8)) + frame(DATA, b"x", stream_id=1))
    assert running.result() == "the other end closed the session (INTERNAL_ERROR): the disk is full"


async def test_data_inside_a_header_block() -> None:
    """Only CONTINUATION may follow."""
    outcome = await attack(opened(1), opened(3, flags=0), frame(DATA, b"x", stream_id=1))
    assert outcome.goaway_code == PROTOCOL_ERROR


async def test_more_data_than_the_window() -> None:
    """64 KiB were granted, and nobody reads."""
    data = frame(DATA, bytes(16_000), stream_id=1)
    outcome = await attack(opened(1), more=itertools.repeat(data, 10))
    assert isinstance(outcome.error, WindowExceeded)
    assert outcome.goaway_code == FLOW_CONTROL_ERROR


async def test_padding_counts_against_the_window() -> None:
    """It goes another way than plain frames, and is counted with them."""
    padded = frame(DATA, b"\xff" + bytes(1) + bytes(255), flags=0x8, stream_id=1)
    plain = frame(DATA, bytes(16_000), stream_id=1)
    outcome = await attack(opened(1), plain * 3, padded * 20, plain)
    assert isinstance(outcome.error, WindowExceeded)
    assert outcome.goaway_code == FLOW_CONTROL_ERROR


async def test_window_of_the_connection_that_overflows() -> None:
    """Beyond 2^31-1."""
    increment = (0x7FFFFFFF).to_bytes(4, "big")
    outcome = await attack(frame(WINDOW_UPDATE, increment))
    assert isinstance(outcome.error, WindowExceeded)
    assert outcome.goaway_code == FLOW_CONTROL_ERROR


async def test_window_of_a_stream_that_overflows() -> None:
    """It goes another way than that of the connection."""
    update = frame(WINDOW_UPDATE, (0x7FFFFFFF).to_bytes(4, "big"), stream_id=1)
    outcome = await attack(opened(1), update)
    assert isinstance(outcome.error, WindowExceeded)
    assert outcome.goaway_code == FLOW_CONTROL_ERROR


async def test_million_streams() -> None:
    """256 are open, the next one ends the session."""
    outcome = await attack(more=(opened(2 * number + 1) for number in range(1_000_000)))
    assert isinstance(outcome.error, ExcessiveLoad)
    assert outcome.goaway_code == ENHANCE_YOUR_CALM


async def test_header_block_without_end() -> None:
    """CONTINUATION after CONTINUATION."""
    part = frame(CONTINUATION, bytes(16_000), stream_id=1)
    outcome = await attack(opened(1, flags=0), more=itertools.repeat(part, 10_000))
    assert isinstance(outcome.error, ExcessiveLoad)
    assert outcome.goaway_code == ENHANCE_YOUR_CALM


async def test_small_block_that_decodes_to_large_headers() -> None:
    """One entry of HPACK's table, named ten thousand times."""
    encoder = hpack.Encoder()
    block = HEAD + encoder.encode([("x", "y" * 3_000)]) + b"\xbe" * 10_000
    outcome = await attack(frame(HEADERS, block, flags=END_HEADERS, stream_id=1))
    assert isinstance(outcome.error, ExcessiveLoad)
    assert outcome.goaway_code == ENHANCE_YOUR_CALM


async def test_rapid_resets() -> None:
    """Opened and reset without end."""
    reset = (8).to_bytes(4, "big")
    calls = (
        opened(2 * number + 1) + frame(RST_STREAM, reset, stream_id=2 * number + 1)
        for number in range(100_000)
    )
    outcome = await attack(more=calls)
    assert isinstance(outcome.error, ExcessiveLoad)
    assert outcome.goaway_code == ENHANCE_YOUR_CALM


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(frame(PING, bytes(8)), id="PING"),
        pytest.param(frame(SETTINGS), id="SETTINGS"),
        pytest.param(frame(WINDOW_UPDATE, (1).to_bytes(4, "big")), id="WINDOW_UPDATE"),
        pytest.param(frame(0x2, bytes(5), stream_id=1), id="PRIORITY"),
        pytest.param(frame(0xFA, b"unknown"), id="unknown"),
    ],
)
async def test_frames_that_carry_nothing_in_masses(role: Role, flood: bytes) -> None:
    """From either end."""
    outcome = await attack(role=role, more=itertools.repeat(flood, 50_000))
    assert isinstance(outcome.error, ExcessiveLoad)
    assert outcome.goaway_code == ENHANCE_YOUR_CALM


async def test_settings_that_nobody_knows() -> None:
    """They are not kept, and a frame full of them counts as many."""
    settings = b"".join(
        number.to_bytes(2, "big") + bytes(4) for number in range(0x1000, 0x1000 + 2_000)
    )
    outcome = await attack(more=itertools.repeat(frame(SETTINGS, settings), 20_000))
    assert isinstance(outcome.error, ExcessiveLoad)


async def test_edge_that_opens_a_stream_towards_the_cloud() -> None:
    """Only the provider asks."""
    outcome = await attack(opened(2), role=Role.CLIENT)
    assert "opened a stream" in str(outcome.error)
    assert outcome.goaway_code == PROTOCOL_ERROR


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\x09x", id="unknown"),
        pytest.param(b"\x02" + (1 << 40).to_bytes(8, "big"), id="ACK of what was never sent"),
        pytest.param(b"\x03", id="DRAIN without a deadline"),
    ],
)
async def test_message_that_the_pipe_does_not_know(message: bytes) -> None:
    """PROTOCOL_ERROR, by name."""
    async with session_pair(echo):
        outcome = await _attack(Role.SERVER, [message])
    assert isinstance(outcome.error, PipeError)
    assert outcome.goaway_code == PROTOCOL_ERROR
