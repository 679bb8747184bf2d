"""What a worker makes is no news, though it is listed before the cache knows of it; pure.

To inspect pods for that would cost a start of many more than all else that is asked meanwhile. So
what is new and lives counts as a change only once it was unknown for OWN_DOING_S; what ended, or
was known before, counts at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.pleg.events import PodLifecycleEventType

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from edge_runtime.pleg.events import PodLifecycleEvent

# The longest that a container is unknown is from its creation until its start went through. A
# worker that fails looks itself.
OWN_DOING_S = 5.0
_ENDINGS = (PodLifecycleEventType.DIED, PodLifecycleEventType.REMOVED)


class Newcomers:
    """When each living sandbox or container that the cache does not know was first listed."""

    def __init__(self) -> None:
        self._since_s: dict[str, float] = {}

    def are_all(
        self, events: Iterable[PodLifecycleEvent], *, known: Collection[str], now_s: float
    ) -> bool:
        """Whether nothing happened to a pod but that it got what its worker may have made.

        Args:
            events: What happened; what is new among it is remembered.
            known: Ids of the pod's that the cache has.
            now_s: Monotonic.
        """
        return not [each for each in events if not self._is_one(each, known, now_s)]

    def keep(self, listed: Collection[str]) -> None:
        """Forget what is not listed any more."""
        for each in self._since_s.keys() - listed:
            del self._since_s[each]

    def _is_one(self, event: PodLifecycleEvent, known: Collection[str], now_s: float) -> bool:
        if event.type in _ENDINGS or event.id in known:
            return False
        return now_s - self._since_s.setdefault(event.id, now_s) < OWN_DOING_S
