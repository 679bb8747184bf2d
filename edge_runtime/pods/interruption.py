"""Give up a call when something more urgent came up, without losing a cancellation.

A TaskGroup of Python 3.11 cancels its own task when a child fails. A cancellation from outside that
comes in the same moment is taken for that one, and lost: a worker's loop that handles the failure
then goes on for ever, and the process never ends (python/cpython#116720, mended in 3.13). So
children whose failure is handled MUST NOT raise: `outcome_of` keeps what they raise.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[_T]):
    """What a call returned or raised."""

    value: _T | None = None
    error: Exception | None = None

    def get(self) -> _T:
        """Return what the call returned.

        Raises:
            Exception: What the call raised.
        """
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]  # the call's own, None included


async def outcome_of(call: Coroutine[None, None, _T]) -> Outcome[_T]:
    """Await a call and return what came of it; raises only when it is cancelled."""
    try:
        return Outcome(value=await call)
    except Exception as exc:  # noqa: BLE001  # raised again by whoever asks for the value
        return Outcome(error=exc)


async def unless(interrupt: asyncio.Event, call: Coroutine[None, None, _T]) -> _T | None:
    """Return what the call returns, or None if the event is set before; the call is then over.

    It does not begin if the event is set already.

    Raises:
        Exception: Whatever the call raises, not wrapped into a group.
    """
    if interrupt.is_set():
        call.close()
        return None
    async with asyncio.TaskGroup() as group:
        task = group.create_task(outcome_of(call))
        guard = group.create_task(_cancel_when(interrupt, task))
        task.add_done_callback(lambda _: guard.cancel())
    return None if task.cancelled() else task.result().get()


async def _cancel_when(interrupt: asyncio.Event, task: asyncio.Task[Outcome[_T]]) -> None:
    await interrupt.wait()
    task.cancel()
