"""A container's log as bytes, followed while it grows."""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from asyncinotify import Inotify, Mask

from edge_runtime.logs.cri_log import LogDecoder, LogOptions
from edge_runtime.logs.log_file import LogFile

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

# How long at most until the end of the container is seen, or a change that inotify did not tell
# (overlay and network filesystems). Source: cri-client logs.go ``logForceCheckPeriod``.
CHECK_PERIOD_S = 1.0
_CHANGES = Mask.MODIFY | Mask.CREATE | Mask.MOVED_TO
# How often to look where the machine has no inotify instance left (128 per user by default).
POLL_PERIOD_S = 0.2

logger = logging.getLogger(__name__)


async def read_logs(
    path: str, options: LogOptions, *, is_running: Callable[[], Awaitable[bool]]
) -> AsyncGenerator[bytes, None]:
    """Yield what was asked for of a container's log, in pieces of at most some 256 KiB.

    With ``follow`` it goes on, over rotations too, until ``is_running`` says no and all that was
    written by then is yielded; a new line comes at once. The file is read in a thread, piece by
    piece as the caller takes them: what is not taken is not read.

    The first piece is empty and says that the file is there: a caller can answer with an error
    until then, and with success from then on, although the first line may be long in coming.

    Args:
        path: The log file; must be a regular file, no link.
        options: Which part of it, and how.
        is_running: Asked at most once a second while there is nothing new to read.

    Raises:
        LogReadError: The file is not there, is no regular file, or the disk failed.

    Leaving or cancelling it closes the file.
    """
    decoder = LogDecoder(options)
    loop = asyncio.get_running_loop()
    name = Path(path).name
    next_check = 0.0
    with ExitStack() as stack:
        file = await asyncio.to_thread(LogFile, path)
        stack.callback(lambda: file.close())
        if options.tail_lines is not None:
            await asyncio.to_thread(file.seek_tail, options.tail_lines)
        inotify = _watch(stack, path) if options.follow else None
        yield b""
        is_ended = not options.follow
        is_replaced = False
        while not decoder.is_exhausted:
            is_end_of_file, output = await asyncio.to_thread(_read, file, decoder)
            if output:
                yield output
            if not is_end_of_file:
                continue
            if is_replaced:
                file, old = await asyncio.to_thread(LogFile, path), file
                old.close()
                is_replaced = False
                continue
            # The old file may have grown between its end and the look at the path: it is read to
            # its end once more before the new one. A rotation MUST be seen before the container's
            # end, or the last file is never read.
            is_replaced = await asyncio.to_thread(file.is_replaced)
            if is_replaced:
                continue
            if is_ended:
                break
            if loop.time() < next_check and await _changed(inotify, name, until=next_check):
                continue
            # Whatever was written before the end is there to be read: one more round.
            is_ended = not await is_running()
            next_check = loop.time() + CHECK_PERIOD_S
        if not decoder.is_exhausted and (output := decoder.finish()):
            yield output


def _watch(stack: ExitStack, path: str) -> Inotify | None:
    """Watch the folder, since a rotation puts a new file in the old one's place.

    Returns:
        None where the kernel has no room for it; the file is then looked at now and then.
    """
    try:
        inotify = stack.enter_context(Inotify())
        inotify.add_watch(Path(path).parent, _CHANGES)
    except OSError as exc:
        logger.warning("a log is followed without inotify", extra={"error": str(exc)})
        return None
    return inotify


async def _changed(inotify: Inotify | None, name: str, *, until: float) -> bool:
    """Wait for a change of that file; False when there was none until then (loop time).

    Other files of the folder do not count: the container's next attempt writes its log there.
    """
    if inotify is None:
        await asyncio.sleep(POLL_PERIOD_S)
        return True
    try:
        async with asyncio.timeout_at(until):
            while True:
                event = await inotify.get()
                if Mask.Q_OVERFLOW in event.mask or str(event.name) == name:
                    return True
    except TimeoutError:
        return False


def _read(file: LogFile, decoder: LogDecoder) -> tuple[bool, bytes]:
    """Read and decode one piece; both take time, so that it runs in a thread."""
    data = file.read()
    return not data, decoder.receive_data(data) if data else b""
