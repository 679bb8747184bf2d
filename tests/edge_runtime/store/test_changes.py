"""Change feeds: each key once, nothing lost to cancellation, dropped readers forgotten."""

from __future__ import annotations

import asyncio
import gc

from edge_runtime.store.changes import ChangeFeed


async def test_key_that_changed_often_is_told_once() -> None:
    """Latest wins: a slow reader is not flooded."""
    feed: ChangeFeed[str] = ChangeFeed()
    reader = feed.subscribe()
    for key in ("a", "b", "a", "a"):
        feed.publish(key)
    assert [await reader.next(), await reader.next()] == ["a", "b"]
    feed.publish("a")
    assert await reader.next() == "a"


async def test_readers_do_not_share() -> None:
    """Each has its own view, from its own beginning."""
    feed: ChangeFeed[str] = ChangeFeed()
    first = feed.subscribe()
    feed.publish("a")
    second = feed.subscribe()
    feed.publish("b")
    assert [await first.next(), await first.next()] == ["a", "b"]
    assert await second.next() == "b"


async def test_cancelled_wait_loses_no_change() -> None:
    """The next wait gets it."""
    feed: ChangeFeed[str] = ChangeFeed()
    reader = feed.subscribe()
    async with asyncio.TaskGroup() as tg:
        waiting = tg.create_task(reader.next())
        await asyncio.sleep(0)
        feed.publish("a")
        waiting.cancel()
    feed.publish("b")
    assert [await reader.next(), await reader.next()] == ["a", "b"]


async def test_dropped_reader_is_forgotten() -> None:
    """A stream that ended leaves nothing that fills up."""
    feed: ChangeFeed[str] = ChangeFeed()
    reader = feed.subscribe()
    assert len(feed._readers) == 1
    del reader
    gc.collect()
    assert len(feed._readers) == 0
