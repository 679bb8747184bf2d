"""Stream slots: first come, first served, and none lost."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunnel import slots as slots_module
from tunnel.errors import SessionClosed
from tunnel.slots import StreamSlots

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


async def test_no_slots_before_the_peer_allows_them() -> None:
    """And never more than our own limit."""
    slots = StreamSlots(max_streams=2)
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(slots.acquire()) for _ in range(3)]
        await asyncio.sleep(1)
        assert not any(task.done() for task in waiting)
        slots.allow(100)
        await asyncio.sleep(1)
        assert [task.done() for task in waiting] == [True, True, False]
        slots.release()


async def test_a_smaller_allowance_keeps_open_streams() -> None:
    """Those that are open stay; new ones wait until enough have ended."""
    slots = StreamSlots(max_streams=4)
    slots.allow(4)
    for _ in range(3):
        await slots.acquire()
    slots.allow(1)
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(slots.acquire())
        for _ in range(2):
            slots.release()
            await asyncio.sleep(1)
            assert not waiting.done()
        slots.release()


async def test_turns_go_in_order_and_cannot_be_jumped() -> None:
    """A call that finds a slot free still waits behind those that came first."""
    slots = StreamSlots(max_streams=1)
    slots.allow(1)
    await slots.acquire()
    order: list[int] = []

    async def call(number: int) -> None:
        await slots.acquire()
        order.append(number)
        slots.release()

    async with asyncio.TaskGroup() as tasks:
        for number in range(5):
            tasks.create_task(call(number))
        await asyncio.sleep(1)
        slots.release()
    assert order == [0, 1, 2, 3, 4]


async def test_close_refuses_all_with_the_first_reason() -> None:
    """Who waits and who comes later."""
    slots = StreamSlots(max_streams=1)
    refused: list[str] = []

    async def call() -> None:
        with pytest.raises(SessionClosed) as caught:
            await slots.acquire()
        refused.append(caught.value.reason)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(call())
        await asyncio.sleep(1)
        slots.close("first")
        slots.close("second")
    await call()
    assert refused == ["first"] * 4


async def test_waiting_calls_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next is refused at once."""
    monkeypatch.setattr(slots_module, "MAX_WAITING", 2)
    slots = StreamSlots(max_streams=1)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            tasks.create_task(_acquire_refused(slots))
        await asyncio.sleep(1)
        with pytest.raises(SessionClosed, match="wait for a free stream"):
            await slots.acquire()
        slots.close("over")


async def _acquire_refused(slots: StreamSlots) -> None:
    with pytest.raises(SessionClosed, match="over"):
        await slots.acquire()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["acquire", "cancel", "release", "tick"]), st.integers(0, 9)),
        max_size=60,
    )
)
async def test_no_slot_is_lost_whatever_is_cancelled(steps: list[tuple[str, int]]) -> None:
    """After all is done there are as many as before."""
    slots = StreamSlots(max_streams=3)
    slots.allow(3)
    held: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as tasks:
        for step, number in steps:
            ready = [task for task in held if task.done() and not task.cancelled()]
            if step == "acquire":
                held.append(tasks.create_task(slots.acquire()))
            elif step == "cancel" and held:
                held[number % len(held)].cancel()
            elif step == "release" and ready:
                slots.release()
                held.remove(ready[0])
            else:
                await asyncio.sleep(0)
            assert len([task for task in held if task.done() and not task.cancelled()]) <= 3
        for task in held:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
                slots.release()
    for _ in range(3):
        async with asyncio.timeout(1):
            await slots.acquire()
