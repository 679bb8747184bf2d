"""Tell readers which keys changed; each key once, however often it changed meanwhile.

What is told is on disk already: publish AFTER the write returned, since a reader sends it on.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Generic, TypeVar

_K = TypeVar("_K")


class ChangeReader(Generic[_K]):
    """One reader's view: the keys that changed since it last took them, oldest change first.

    Bounded by the number of keys that exist. A reader that is dropped is forgotten.
    """

    def __init__(self) -> None:
        self._pending: dict[_K, None] = {}
        self._changed = asyncio.Event()

    def add(self, key: _K) -> None:
        """Note a change."""
        self._pending.setdefault(key)
        self._changed.set()

    async def next(self) -> _K:
        """Wait for a change and take it. Cancelling is safe: no change is lost."""
        while not self._pending:
            self._changed.clear()
            await self._changed.wait()
        key = next(iter(self._pending))
        del self._pending[key]
        return key


class ChangeFeed(Generic[_K]):
    """Keys that changed, for any number of readers."""

    def __init__(self) -> None:
        self._readers: weakref.WeakSet[ChangeReader[_K]] = weakref.WeakSet()

    def publish(self, key: _K) -> None:
        """Tell all readers."""
        for reader in self._readers:
            reader.add(key)

    def subscribe(self) -> ChangeReader[_K]:
        """Return a reader of all changes from now on."""
        reader: ChangeReader[_K] = ChangeReader()
        self._readers.add(reader)
        return reader
