"""Start a loop again that a mistake of ours ended: pods must not pay for it.

What a loop expects it handles itself. What it does not expect is logged with its traceback and
counted, so that it is seen, and the loop begins anew after a pause that grows while it keeps
failing.

Source: kubernetes staging/src/k8s.io/apimachinery/pkg/util/wait/backoff.go ``Until``,
pkg/util/runtime/runtime.go ``HandleCrash``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 60.0

logger = logging.getLogger(__name__)


async def keep_running(
    name: str, run: Callable[[], Awaitable[object]], *, failed: Callable[[str], object]
) -> None:
    """Run a loop until it returns or is cancelled, again whenever it raises.

    Args:
        name: What the log and the count call it.
        run: The loop; it must be able to begin anew.
        failed: Called with the name each time that it raised.
    """
    clock = asyncio.get_running_loop().time
    pause_s = FIRST_PAUSE_S
    while True:
        began_at_s = clock()
        try:
            await run()
        except Exception:
            if clock() - began_at_s > MAX_PAUSE_S:
                pause_s = FIRST_PAUSE_S
            extra = {"loop": name, "again_in_s": pause_s}
            logger.exception("a loop failed and is started again", extra=extra)
            failed(name)
        else:
            return
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, MAX_PAUSE_S)
