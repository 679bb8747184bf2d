"""Handlers: the tasks that answer the streams which the client opened."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from tunnel.errors import SessionClosed, StreamReset
from tunnel.stream import CANCEL, INTERNAL_ERROR, NO_ERROR, Stream

logger = logging.getLogger(__name__)

Handler = Callable[[Stream], Awaitable[None]]

# How long a handler may go on after its stream was reset or lost, before it is cancelled.
HANDLER_GRACE_S = 2.0


class Handlers:
    """One task per stream: a stream ends with its task, and a task soon after its stream.

    Args:
        handler: Answers one stream. Its exception resets only its stream.
        max_running: More tasks than this are refused; more than streams can be open, since a task
            may outlive its stream for a moment.
        session_name: For logs.
    """

    def __init__(self, handler: Handler, *, max_running: int, session_name: str) -> None:
        self._handler = handler
        self._max_running = max_running
        self._session_name = session_name
        self._running: dict[int, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._ended: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._running)

    def run_in(self, tasks: asyncio.TaskGroup, *, ended: Callable[[], None]) -> None:
        """Start tasks in this group from now on; ``ended`` is called after each one's end."""
        self._tasks = tasks
        self._ended = ended

    def start(self, stream: Stream) -> bool:
        """Start to answer a stream; returns False when too many are being answered."""
        if self._tasks is None or len(self._running) >= self._max_running:
            return False
        task = self._tasks.create_task(self._serve(stream), name=f"tunnel stream {stream.id}")
        self._running[stream.id] = task
        task.add_done_callback(lambda _: self._forget(stream.id))
        return True

    def stream_failed(self, stream_id: int) -> None:
        """Give the handler of a stream that was reset a moment to end, then cancel it."""
        task = self._running.get(stream_id)
        if task is not None:
            asyncio.get_running_loop().call_later(HANDLER_GRACE_S, task.cancel)

    async def stop(self) -> None:
        """Wait a moment for all handlers, whose streams have failed, then cancel the rest."""
        running = list(self._running.values())
        if running:
            await asyncio.wait(running, timeout=HANDLER_GRACE_S)
        for task in running:
            task.cancel()

    def _forget(self, stream_id: int) -> None:
        self._running.pop(stream_id, None)
        if self._ended is not None:
            self._ended()

    async def _serve(self, stream: Stream) -> None:
        try:
            await self._handler(stream)
            await self._end(stream)
        except asyncio.CancelledError:
            stream.reset(CANCEL, "its handler was cancelled")
            raise
        except Exception as exc:
            if not (stream.is_closed and _says_only_that_it_ended(exc)):
                logger.exception(
                    "handler failed: session %s, %s %s",
                    self._session_name,
                    stream.request.method,
                    stream.request.path.partition("?")[0],
                )
            stream.reset(INTERNAL_ERROR, "its handler failed")

    async def _end(self, stream: Stream) -> None:
        if stream.is_closed:
            return
        if not stream.send_closed:
            logger.error(
                "handler returned before the end of its response: session %s, %s %s",
                self._session_name,
                stream.request.method,
                stream.request.path.partition("?")[0],
            )
            stream.reset(INTERNAL_ERROR, "its handler returned before the end of the response")
            return
        await stream.close_write()
        # The response is complete; whatever the client still sends, nobody reads (RFC 9113 §8.1).
        stream.reset(NO_ERROR, "the response is complete")


def _says_only_that_it_ended(exc: Exception) -> bool:
    if isinstance(exc, ExceptionGroup):
        return exc.split((StreamReset, SessionClosed))[1] is None
    return isinstance(exc, StreamReset | SessionClosed)
