"""Work that is only worth doing while somebody waits for its result."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from tunnel.errors import StreamReset

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from tunnel.stream import Stream

_T = TypeVar("_T")
CANCEL = 0x8


async def until_closed(stream: Stream, work: Coroutine[object, object, _T]) -> _T:
    """Await ``work``, but cancel it as soon as the stream is reset or its session lost.

    Raises:
        StreamReset: The stream was closed before the work was done.
    """
    task: asyncio.Task[_T] | None = None
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work)
            watch = group.create_task(stream.wait_closed())
            task.add_done_callback(lambda _: watch.cancel())
            watch.add_done_callback(lambda _: task.cancel())
    except* Exception as errors:  # noqa: BLE001  # unwrapped: one task's failure is the work's own
        raise errors.exceptions[0] from None
    if task is None or task.cancelled():
        raise StreamReset(CANCEL, "the client went away")
    return task.result()
