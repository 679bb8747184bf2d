"""The end of an exec call whose caller is gone: what its process is told, and whether it ended.

CRI gives no process id for an exec. All that can be done is what a person at the terminal could do:
Ctrl-C, which interrupts what runs, then Ctrl-D, which ends a shell that waits for input; without a
terminal, the end of stdin. A process that ignores it outlives the call, as under a kubelet; it is
counted.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.api.runtime_connection import RuntimeConnection
    from edge_runtime.api.stdin_frames import StdinFrames

logger = logging.getLogger(__name__)

INTERRUPT, END_OF_INPUT = b"\x03", b"\x04"
# A shell that gets its terminal back sets it up anew and loses what was typed before.
BETWEEN_KEYS_S = 0.25
# How long the process may take to end; together with the keys less than a stream's handler has
# (tunnel.handlers.HANDLER_GRACE_S).
PATIENCE_S = 1.2


class LostExec:
    """What is done for exec calls that are lost.

    Args:
        has_terminal: Whether the process has a terminal.
        outlived: Told of each process that went on.
    """

    def __init__(self, *, has_terminal: bool, outlived: Callable[[], None]) -> None:
        self._has_terminal = has_terminal
        self._outlived = outlived

    async def end(self, runtime: RuntimeConnection, stdin: StdinFrames) -> None:
        """Tell the process that nobody is there any more, and wait a moment for its end.

        What it still says is dropped. Returns when the runtime has ended the call, or after
        PATIENCE_S; the caller closes the connection. Cancelling is safe.
        """
        try:
            async with asyncio.timeout(BETWEEN_KEYS_S + PATIENCE_S):
                async with asyncio.TaskGroup() as tasks:
                    saying = tasks.create_task(self._say(runtime, stdin))
                    await _read_to_end(runtime)
                    saying.cancel()
        except TimeoutError:
            logger.warning("a process outlives its lost exec call")
            self._outlived()

    async def _say(self, runtime: RuntimeConnection, stdin: StdinFrames) -> None:
        if self._has_terminal:
            await _send(runtime, stdin.write(INTERRUPT))
            await asyncio.sleep(BETWEEN_KEYS_S)
            await _send(runtime, stdin.write(END_OF_INPUT))
        await _send(runtime, stdin.close())


async def _read_to_end(runtime: RuntimeConnection) -> None:
    try:
        while await runtime.receive():
            pass
    except OSError as exc:
        logger.debug("the runtime broke a lost call off", extra={"reason": str(exc)})


async def _send(runtime: RuntimeConnection, frame: bytes | None) -> None:
    if frame is None:
        return
    try:
        await runtime.send(frame)
    except OSError as exc:
        logger.debug("the runtime takes no input", extra={"reason": str(exc)})
