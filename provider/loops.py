"""Loops that the provider cannot go on without: each runs until it is cancelled, or fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Mapping

    Loop = Callable[[], Coroutine[None, None, None]]


class LoopFailed(Exception):
    """One of the loops ended; the provider cannot go on without it."""


def start_loops(tasks: asyncio.TaskGroup, loops: Mapping[str, Loop]) -> list[asyncio.Task[None]]:
    """Start loops by their names; one that ends fails the group with LoopFailed."""
    return [tasks.create_task(_run_forever(name, loop), name=name) for name, loop in loops.items()]


async def _run_forever(name: str, loop: Loop) -> None:
    try:
        await loop()
    except Exception as exc:
        raise LoopFailed(f"{name} failed: {type(exc).__name__}: {exc}") from exc
    raise LoopFailed(f"{name} ended")


def first_error(error: BaseException) -> BaseException:
    """Return the first error of a group that is none itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
