"""What waits to go up the sync stream: the newest message of each kind and key.

Bounded by what exists: one acknowledgement, status and PodGone per pod, one report per node, one
want for each token that a pod projects, and the events of the recorder's own bounded store. A slow
stream makes values newer, never more.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tunnel.sync import (
    Ack,
    EventReport,
    FromEdge,
    NodeReport,
    PodGone,
    PodStatus,
    TokenWant,
    token_key,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

# What goes first when several kinds wait. Pods wait for tokens. A status goes before
# PodGone, which relies on it; events are the least urgent and the most numerous.
_ORDER = (NodeReport, TokenWant, Ack, PodStatus, PodGone, EventReport)


class SyncOutbox:
    """Messages of one sync stream that were not written yet; one reader."""

    def __init__(self) -> None:
        self._waiting: dict[type[FromEdge], dict[Hashable, FromEdge]] = {
            kind: {} for kind in _ORDER
        }
        self._filled = asyncio.Event()

    def put(self, message: FromEdge) -> None:
        """Take a message; it replaces an unwritten one of the same kind and key."""
        self._waiting[type(message)][_key(message)] = message
        self._filled.set()

    async def next(self) -> FromEdge:
        """Wait for a message and take it, the most urgent kind first.

        Cancelling is safe: no message is lost.
        """
        while True:
            for messages in self._waiting.values():
                if messages:
                    return messages.pop(next(iter(messages)))
            self._filled.clear()
            await self._filled.wait()


def _key(message: FromEdge) -> Hashable:
    match message:
        case PodStatus() | PodGone():
            return message.uid
        case Ack():
            return message.key
        case EventReport():
            return message.id
        case TokenWant():
            return token_key(message)
        case _:
            return None
