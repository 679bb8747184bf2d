"""Give up a call when something more urgent came up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

_T = TypeVar("_T")


async def unless(interrupt: asyncio.Event, call: Coroutine[None, None, _T]) -> _T | None:
    """Return what the call returns, or None if the event is set before; the call is then over.

    Raises:
        Exception: Whatever the call raises, not wrapped into a group.
    """
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(call)
            guard = group.create_task(_cancel_when(interrupt, task))
            task.add_done_callback(lambda _: guard.cancel())
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return None if task.cancelled() else task.result()


async def _cancel_when(interrupt: asyncio.Event, task: asyncio.Task[_T]) -> None:
    await interrupt.wait()
    task.cancel()
