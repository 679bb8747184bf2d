"""A container's log as bytes, followed while it grows."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING

from edge_runtime.logs.cri_log import LogDecoder, LogOptions
from edge_runtime.logs.log_chain import LogChain
from edge_runtime.logs.log_change import LogChange
from edge_runtime.logs.log_watch import LogWatch

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

# How long at most until the end of the container is seen, or a change that inotify did not tell
# (overlay and network filesystems). Source: cri-client logs.go ``logForceCheckPeriod``.
CHECK_PERIOD_S = 1.0
# A runtime that opens its log anew makes the new file before it lets go of the old one, and nothing
# tells when it has: what it writes in between must still be read in the old one.
SETTLING_S = 0.05
# What is read at once where a reader keeps up.
FRESH_BYTES = 32 << 10


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
    with ExitStack() as stack:
        chain = await asyncio.to_thread(LogChain, path)
        stack.callback(chain.close)
        if await asyncio.to_thread(chain.seek, options):
            decoder.show_all()
        watch = stack.enter_context(LogWatch(path)) if options.follow else None
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
            if watch is not None and now() < next_check:
                change = await watch.wait(until=next_check)
                is_caught_up = change is LogChange.GROWN
                is_rotated = change is LogChange.REPLACED
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
