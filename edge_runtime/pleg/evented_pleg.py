"""Follow the runtime's event streams, so that an exit is seen at once and not a second later.

An event is a hint to look, never a fact: streams break, skip and reorder. CRI's own stream comes
first (containerd 1.7 and later); where it is missing, the runtime's native one; where both are,
the relist does alone.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.runtime_status import RuntimeEventType
from edge_runtime.runtime.errors import RuntimeServiceError, Unimplemented

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from edge_runtime.objects.runtime_status import RuntimeEvent

_MIN_DELAY_S = 0.5
_MAX_DELAY_S = 30.0
# A pod's worker knows what it created and started itself: only what ends needs a look.
_ENDINGS = (RuntimeEventType.STOPPED, RuntimeEventType.DELETED)

logger = logging.getLogger(__name__)


class PodHints(Protocol):
    """Where hints go (pleg/generic_pleg.py)."""

    def hint(self, uid: PodUID | None) -> None:
        """Look at one pod now, or with None at all of them."""
        ...


class PodFinder(Protocol):
    """Whose a container is (pleg/pod_cache.py)."""

    def find(self, runtime_id: str) -> PodUID | None:
        """Return the pod of a container or sandbox id."""
        ...


class EventedPLEG:
    """Turns runtime events into hints."""

    def __init__(
        self,
        sources: Sequence[Callable[[], AsyncIterator[RuntimeEvent]]],
        *,
        pleg: PodHints,
        cache: PodFinder,
    ) -> None:
        """Prepare; no stream is opened before `run`.

        Args:
            sources: Openers of event streams, the preferred one first. A stream raises
                Unimplemented where the runtime does not have it.
            pleg: Where hints go.
            cache: Whose a container is, for events that do not say.
        """
        self._sources = sources
        self._pleg = pleg
        self._cache = cache

    async def run(self) -> None:
        """Follow the first source that the runtime has, until cancelled or none is left."""
        for source in self._sources:
            try:
                await self._follow(source)
            except Unimplemented:
                continue
        logger.info("the container runtime has no event stream, relisting alone")

    async def _follow(self, source: Callable[[], AsyncIterator[RuntimeEvent]]) -> None:
        delay_s = _MIN_DELAY_S
        while True:
            try:
                async for event in source():
                    delay_s = _MIN_DELAY_S
                    self._take(event)
            except Unimplemented:
                raise
            except RuntimeServiceError as exc:
                logger.debug("the runtime's event stream broke", extra={"error": str(exc)})
            # Events may have been missed while no stream was open.
            self._pleg.hint(None)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, _MAX_DELAY_S)

    def _take(self, event: RuntimeEvent) -> None:
        if event.type not in _ENDINGS:
            return
        uid = PodUID(event.pod_uid) if event.pod_uid else self._cache.find(event.container_id)
        if uid is not None:
            self._pleg.hint(uid)
        elif event.type is RuntimeEventType.STOPPED:
            # A container that ended before it was known; after DELETED nothing is left to see.
            self._pleg.hint(None)
