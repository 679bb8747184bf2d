"""A container's log as bytes, followed while it grows."""

from __future__ import annotations

import asyncio
import enum
import logging
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from asyncinotify import Inotify, Mask

from edge_runtime.logs.cri_log import LogDecoder, LogOptions
from edge_runtime.logs.log_chain import LogChain

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

# How long at most until the end of the container is seen, or a change that inotify did not tell
# (overlay and network filesystems). Source: cri-client logs.go ``logForceCheckPeriod``.
CHECK_PERIOD_S = 1.0
_CHANGES = Mask.MODIFY | Mask.CREATE | Mask.MOVED_TO
# A runtime that opens its log anew makes the new file before it lets go of the old one, and nothing
# tells when it has: what it writes in between must still be read in the old one.
SETTLING_S = 0.05
# What is read at once where a reader keeps up.
FRESH_BYTES = 32 << 10
# How often to look where the machine has no inotify instance left (128 per user by default).
POLL_PERIOD_S = 0.2

logger = logging.getLogger(__name__)


async def read_logs(
    path: str,
    options: LogOptions,
    *,
    is_running: Callable[[], Awaitable[bool]],
    decoder: LogDecoder | None = None,
) -> AsyncGenerator[bytes, None]:
    """Yield what was asked for of a container's log, in pieces of at most some 256 KiB.

    All files that rotation kept are one log, the compressed ones too. With ``follow`` it goes on,
    over rotations too, until ``is_running`` says no and all that was written by then is yielded; a
    new line comes at once. Files are read in a thread, piece by piece as the caller takes them:
    what is not taken is not read.

    The first piece is empty and says that the log is there: a caller can answer with an error
    until then, and with success from then on, although the first line may be long in coming.

    Args:
        path: The log file; neither it nor what was put aside of it may be a link.
        options: Which part of it, and how.
        is_running: Asked at most once a second while there is nothing new to read.
        decoder: Made of these options; the caller can ask it how far the log was read when he has
            a piece.

    Raises:
        LogReadError: The log is not there, is nothing that may be read, the disk failed, or
            rotation dropped what a slow caller had not read yet.

    Leaving or cancelling it closes the files.
    """
    decoder = LogDecoder(options) if decoder is None else decoder
    now = asyncio.get_running_loop().time
    name = Path(path).name
    with ExitStack() as stack:
        chain = await asyncio.to_thread(LogChain, path)
        stack.callback(chain.close)
        if await asyncio.to_thread(chain.seek, options):
            decoder.show_all()
        inotify = _watch(stack, path) if options.follow else None
        yield b""
        is_ended = not options.follow
        is_caught_up = is_rotated = False
        next_check = next_extension = 0.0
        while not decoder.is_exhausted:
            is_end, output = await _read(chain, decoder, is_fresh=is_caught_up)
            is_caught_up = is_caught_up and len(output) < FRESH_BYTES // 2
            if output:
                yield output
            # A rotation MUST be seen before the container's end, or the last file is never read.
            is_due = now() >= next_extension or (is_end and (is_rotated or is_ended))
            if options.follow and is_due:
                next_extension, is_rotated = now() + CHECK_PERIOD_S, False
                is_end = not await _extend(chain) and is_end
            if not is_end:
                continue
            if is_ended:
                break
            if now() < next_check:
                change = await _changed(inotify, name, until=next_check)
                is_caught_up = change is _Change.GROWN
                is_rotated = change is _Change.REPLACED
                if change is not None:
                    continue
            # Whatever was written before the end is there to be read: one more round.
            is_ended = not await is_running()
            next_check = now() + CHECK_PERIOD_S
        if not decoder.is_exhausted and (output := decoder.finish()):
            yield output


async def _read(chain: LogChain, decoder: LogDecoder, *, is_fresh: bool) -> tuple[bool, bytes]:
    if is_fresh:
        # A little that was written just now is in memory, and a thread would cost more.
        return chain.read(decoder, max_bytes=FRESH_BYTES)
    return await asyncio.to_thread(chain.read, decoder)


async def _extend(chain: LogChain) -> bool:
    """Look for files that were begun; once there is one, the old one is whole soon."""
    is_extended = await asyncio.to_thread(chain.extend)
    if is_extended:
        await asyncio.sleep(SETTLING_S)
    return is_extended


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


class _Change(enum.Enum):
    GROWN = enum.auto()
    REPLACED = enum.auto()


async def _changed(inotify: Inotify | None, name: str, *, until: float) -> _Change | None:
    """Wait for a change of that log; None when there was none until then (loop time).

    Other files of the folder do not count: the container's next attempt writes its log there. Those
    that were put aside do, since the runtime writes to one until it opens the log anew.
    """
    if inotify is None:
        await asyncio.sleep(POLL_PERIOD_S)
        return _Change.REPLACED
    try:
        async with asyncio.timeout_at(until):
            while True:
                event = await inotify.get()
                if Mask.Q_OVERFLOW in event.mask:
                    return _Change.REPLACED
                if _is_of(str(event.name), name):
                    return _Change.GROWN if Mask.MODIFY in event.mask else _Change.REPLACED
    except TimeoutError:
        return None


def _is_of(file: str, log: str) -> bool:
    return file == log or file.startswith(f"{log}.")
