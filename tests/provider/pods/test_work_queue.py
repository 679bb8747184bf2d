"""One worker per key, no key lost, none twice."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.pods.work_queue import WorkQueue


async def test_a_key_waits_once() -> None:
    """However often it is added."""
    queue = WorkQueue()
    for key in ("a", "b", "a"):
        queue.add(key)
    assert [await queue.get(), await queue.get()] == ["a", "b"]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await queue.get()


async def test_a_key_that_is_worked_at_comes_again() -> None:
    """Only when its worker is done."""
    queue = WorkQueue()
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add("b")
    assert await queue.get() == "b"
    queue.done("a")
    assert await queue.get() == "a"


@pytest.mark.looptime
async def test_a_delay_is_overtaken_by_news() -> None:
    """And comes not once more after that."""
    queue, loop = WorkQueue(), asyncio.get_running_loop()
    start = loop.time()
    queue.add_after("a", 10)
    queue.add_after("b", 5)
    queue.add_after("c", 7)
    queue.discard("c")
    queue.add("a")
    assert await queue.get() == "a"
    assert loop.time() == start
    queue.done("a")
    assert await queue.get() == "b"
    assert loop.time() - start == pytest.approx(5)
    queue.add_after("a", 100)
    queue.close()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(200):
            await queue.get()


@given(st.lists(st.tuples(st.sampled_from(["add", "get", "done"]), st.sampled_from("abc"))))
def test_any_order_keeps_one_worker_per_key(steps: list[tuple[str, str]]) -> None:
    """And every addition is looked at after it happened."""

    async def play() -> None:
        queue = WorkQueue()
        running: list[str] = []
        unseen: set[str] = set()
        for step, key in steps:
            if step == "add":
                queue.add(key)
                unseen.add(key)
            elif step == "done" and running:
                queue.done(running.pop(0))
            elif step == "get" and unseen - set(running):
                taken = await queue.get()
                assert taken not in running
                running.append(taken)
                unseen.discard(taken)
        while running or unseen:
            if running:
                queue.done(running.pop(0))
            if unseen - set(running):  # a key that is worked at comes only after its worker
                taken = await queue.get()
                assert taken not in running
                running.append(taken)
                unseen.discard(taken)

    async def bounded() -> None:
        async with asyncio.timeout(5):
            await play()

    asyncio.run(bounded())
