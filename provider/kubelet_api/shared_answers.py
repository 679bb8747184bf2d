"""Answers that are asked for once, however many wait for them, and kept for a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Generic[Answer]):
    """An answer and how long it may be given again.

    Attributes:
        answer: The answer.
        lifetime_s: 0 for not at all.
    """

    answer: Answer
    lifetime_s: float


class _Question(Generic[Answer]):
    """One question that is under way."""

    def __init__(self) -> None:
        self.over = asyncio.Event()
        self.kept: Kept[Answer] | None = None
        self.error: Exception | None = None


class SharedAnswers(Generic[Answer]):
    """Answers by key.

    Args:
        max_entries: More are not kept: the one that was not asked for the longest goes first.
    """

    def __init__(self, *, max_entries: int) -> None:
        self._max_entries = max_entries
        self._kept: OrderedDict[Hashable, tuple[float, Answer]] = OrderedDict()
        self._under_way: dict[Hashable, _Question[Answer]] = {}

    async def get(
        self, key: Hashable, ask: Callable[[], Awaitable[Kept[Answer]]], *, now: Callable[[], float]
    ) -> Answer:
        """Return the answer that is kept, or ask for it.

        All who come while it is asked for get that answer, also when it may not be kept, and also
        an error. Cancelling is safe: when the one is cancelled who asked, the next one asks.

        Args:
            key: What is asked for.
            ask: Asks; what it raises goes to all who wait, and is not kept.
            now: Monotonic seconds.
        """
        while True:
            found = self._kept.get(key)
            if found is not None and now() < found[0]:
                self._kept.move_to_end(key)
                return found[1]
            question = self._under_way.get(key)
            if question is None:
                return await self._ask(key, ask, now)
            await question.over.wait()
            if question.error is not None:
                raise question.error
            if question.kept is not None:
                return question.kept.answer

    async def _ask(
        self, key: Hashable, ask: Callable[[], Awaitable[Kept[Answer]]], now: Callable[[], float]
    ) -> Answer:
        question = self._under_way[key] = _Question[Answer]()
        try:
            question.kept = kept = await ask()
        except Exception as exc:
            question.error = exc
            raise
        finally:
            del self._under_way[key]
            question.over.set()
        self._keep(key, kept, now())
        return kept.answer

    def _keep(self, key: Hashable, kept: Kept[Answer], now: float) -> None:
        self._kept.pop(key, None)
        if kept.lifetime_s > 0:
            self._kept[key] = (now + kept.lifetime_s, kept.answer)
        if len(self._kept) > self._max_entries:
            self._kept.popitem(last=False)
