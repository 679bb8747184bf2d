"""What arrives for a reader: nothing lost, whoever waits, and no more kept than the bytes."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunnel.inbox import Inbox

FRAME_BYTES = 16_320


async def read(inbox: Inbox, max_bytes: int = 64 << 10) -> bytes:
    """Wait for bytes and take them."""
    while not inbox.size:
        await inbox.wait()
    return inbox.take(max_bytes)


@settings(deadline=None)  # each example waits for an event loop
@given(st.lists(st.integers(1, 40_000), max_size=8), st.integers(1, 70_000), st.booleans())
async def test_bytes_come_out_in_order(sizes: list[int], max_bytes: int, waits: bool) -> None:
    """Whether the reader waited for them or came later, and whatever it asks for."""
    inbox = Inbox()
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    wanted = b"".join(pieces)
    received = b""

    async def read_all() -> None:
        nonlocal received
        while len(received) < len(wanted):
            data = await read(inbox, max_bytes)
            assert 0 < len(data) <= max_bytes
            received += data

    async with asyncio.TaskGroup() as tasks:
        if waits:
            tasks.create_task(read_all())
            await asyncio.sleep(0)
        for piece in pieces:
            inbox.put(memoryview(piece))
        if not waits:
            tasks.create_task(read_all())
    assert received == wanted
    assert inbox.size == 0


@pytest.mark.parametrize("waits", [False, True])
async def test_what_stays_keeps_no_message(waits: bool) -> None:
    """Neither where nobody waits, nor behind what a reader took."""
    inbox = Inbox()
    message = bytearray(64 << 10)
    async with asyncio.TaskGroup() as tasks:
        if waits:
            reading = tasks.create_task(read(inbox, 10))
            await asyncio.sleep(0)
        inbox.put(memoryview(message)[:FRAME_BYTES])
    message.clear()  # would raise BufferError while there is a view
    taken = len(reading.result()) if waits else 0
    assert inbox.size == FRAME_BYTES - taken


async def test_a_reader_of_crumbs_leaves_no_message_behind() -> None:
    """A few bytes are left of a large piece that came when nobody waited."""
    inbox = Inbox()
    inbox.put(memoryview(bytes(64 << 10)))
    while inbox.size > 10:
        inbox.take(1_000 if inbox.size > 1_010 else 1)
    (left,) = inbox._pieces
    kept = left.obj if type(left) is memoryview else left
    assert memoryview(kept).nbytes <= 40
    assert inbox.take(100) == bytes(10)


async def test_woken_reader_may_find_nothing() -> None:
    """It was told to look again: the end came, or an error."""
    inbox = Inbox()
    inbox.wake()  # nobody waits
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(inbox.wait())
        await asyncio.sleep(0)
        assert not waiting.done()
        inbox.wake()
        inbox.wake()
    assert inbox.size == 0


async def test_cleared_bytes_are_gone() -> None:
    """What comes after them is read."""
    inbox = Inbox()
    inbox.put(b"gone")
    inbox.clear()
    assert inbox.size == 0
    inbox.put(b"here")
    assert await read(inbox) == b"here"
