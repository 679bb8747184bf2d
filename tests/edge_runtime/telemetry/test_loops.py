"""A mistake in a loop is seen and does not end it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from edge_runtime.telemetry.loops import FIRST_PAUSE_S, MAX_PAUSE_S, keep_running

if TYPE_CHECKING:
    from collections.abc import Iterable


class Loop:
    """Lives as long as it is told each time, and then raises; the last time it returns."""

    def __init__(self, *lives_s: float) -> None:
        self.began_at_s: list[float] = []
        self.failed: list[str] = []
        self._lives_s: Iterable[float] = iter(lives_s)

    async def run(self) -> None:
        """Live once."""
        self.began_at_s.append(asyncio.get_running_loop().time())
        for life_s in self._lives_s:
            await asyncio.sleep(life_s)
            raise KeyError("a mistake")

    async def kept(self) -> None:
        """Keep it running."""
        await keep_running("loop", self.run, failed=self.failed.append)


@pytest.mark.looptime
async def test_loop_begins_anew_after_a_pause_that_grows() -> None:
    """It doubles, is never longer than a minute, and each failure is counted."""
    loop = Loop(*[0.0] * 8)
    await loop.kept()
    pauses_s = [b - a for a, b in zip(loop.began_at_s, loop.began_at_s[1:], strict=False)]
    assert pauses_s == [1, 2, 4, 8, 16, 32, MAX_PAUSE_S, MAX_PAUSE_S]
    assert loop.failed == ["loop"] * 8


@pytest.mark.looptime
async def test_pause_is_short_again_after_a_long_life() -> None:
    """What goes wrong once an hour is no flood."""
    loop = Loop(0.0, 0.0, MAX_PAUSE_S + 1)
    await loop.kept()
    assert loop.began_at_s[-1] - loop.began_at_s[-2] == MAX_PAUSE_S + 1 + FIRST_PAUSE_S


@pytest.mark.looptime
async def test_mistake_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """As an error, with the loop's name."""
    await Loop(0.0).kept()
    (record,) = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert record.loop == "loop"  # type: ignore[attr-defined]  # extra
    assert record.exc_info is not None
    assert record.exc_info[0] is KeyError


@pytest.mark.looptime
async def test_cancelling_ends_it() -> None:
    """At once, in its life and in its pause."""
    for lives_s in ((1000.0,), (0.0, 1000.0)):
        loop = Loop(*lives_s)
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            task = group.create_task(loop.kept())
            await asyncio.sleep(0.5)
            task.cancel()
        assert task.cancelled()
