"""Answers that are asked for once, and kept for a time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from provider.kubelet_api.shared_answers import Kept, SharedAnswers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.looptime


class Oracle:
    """Answers after a second, and counts."""

    def __init__(self, *, lifetime_s: float = 10.0, max_entries: int = 100) -> None:
        self.answers = SharedAnswers[str](max_entries=max_entries)
        self.lifetime_s = lifetime_s
        self.asked: list[str] = []
        self.error: Exception | None = None

    async def get(self, key: str) -> str:
        """Ask."""
        return await self.answers.get(key, self._ask(key), now=asyncio.get_running_loop().time)

    def _ask(self, key: str) -> Callable[[], Awaitable[Kept[str]]]:
        async def ask() -> Kept[str]:
            self.asked.append(key)
            number = len(self.asked)
            await asyncio.sleep(1)
            if self.error is not None:
                raise self.error
            return Kept(answer=f"{key} {number}", lifetime_s=self.lifetime_s)

        return ask


async def test_an_answer_is_kept_for_its_lifetime() -> None:
    """Not a moment longer, counted from when it came."""
    oracle = Oracle()
    assert await oracle.get("a") == "a 1"
    await asyncio.sleep(9.9)
    assert await oracle.get("a") == "a 1"
    await asyncio.sleep(0.1)
    assert await oracle.get("a") == "a 2"


@pytest.mark.parametrize("lifetime_s", [10.0, 0.0])
async def test_equal_questions_at_a_time_are_asked_once(lifetime_s: float) -> None:
    """All get the one answer, also one that may not be kept."""
    oracle = Oracle(lifetime_s=lifetime_s)
    got = await asyncio.gather(*(oracle.get("a") for _ in range(50)), oracle.get("b"))
    assert got == ["a 1"] * 50 + ["b 2"]
    await oracle.get("a")
    assert oracle.asked.count("a") == (1 if lifetime_s else 2)


async def test_an_error_reaches_all_who_wait_and_is_not_kept() -> None:
    """The next one asks anew."""
    oracle = Oracle()
    oracle.error = LookupError("no")
    got = await asyncio.gather(*(oracle.get("a") for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in got] == [LookupError] * 3
    assert len(oracle.asked) == 1
    oracle.error = None
    assert await oracle.get("a") == "a 2"


async def test_when_the_one_who_asked_leaves_another_one_asks() -> None:
    """Nobody hangs on a client that went away."""
    oracle = Oracle()
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(oracle.get("a"))
        await asyncio.sleep(0.5)
        others = [tasks.create_task(oracle.get("a")) for _ in range(3)]
        await asyncio.sleep(0.1)
        first.cancel()
    assert [other.result() for other in others] == ["a 2"] * 3


async def test_no_more_are_kept_than_allowed() -> None:
    """The one that was not asked for the longest goes."""
    oracle = Oracle(max_entries=2)
    for key in ("a", "b", "a", "c"):
        await oracle.get(key)
    assert oracle.asked == ["a", "b", "c"]
    await oracle.get("a")
    await oracle.get("b")
    assert oracle.asked == ["a", "b", "c", "b"]
