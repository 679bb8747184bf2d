"""Gives up a connection that is silent although the provider can be reached.

While packets vanish TCP repeats them ever more seldom: after a cut of seven seconds the next
repetition comes six seconds after the heal, and the PINGs of the session are patient for ten. A new
connection works at once, and the session goes on over it. So once a peer owes an answer for three
seconds its port is tried, and if that accepts, the silent connection is what is broken. A link that
is merely slow acknowledges something all the time and is left alone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tunnel.session import Session

SUSPECT_AFTER_S = 3.0
LOOK_EVERY_S = 0.5


class SilenceWatch:
    """Looks at the present session twice a second, and at the provider while that is silent.

    Args:
        session: Returns the session that matters now, None without one.
        is_reachable: Whether the provider's port accepts a connection within a short while.
        give_up: Is told of a session whose connection is broken; returns at once.
    """

    def __init__(
        self,
        *,
        session: Callable[[], Session | None],
        is_reachable: Callable[[], Awaitable[bool]],
        give_up: Callable[[Session], None],
    ) -> None:
        self._session = session
        self._is_reachable = is_reachable
        self._give_up = give_up

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            suspect = self._session()
            if suspect is None or not _is_silent(suspect):
                continue
            # The silence may end while the port is tried.
            if await self._is_reachable() and _is_silent(suspect):
                self._give_up(suspect)


def _is_silent(session: Session) -> bool:
    return session.is_attached and session.silent_s >= SUSPECT_AFTER_S
