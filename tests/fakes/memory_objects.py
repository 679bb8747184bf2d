"""Objects and tokens as plugins ask for them, in memory."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tunnel.sync import object_key

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_runtime.objects.pod import Pod

Json = dict[str, Any]


@dataclass(frozen=True)
class MemoryObject:
    """An object, or that there is none."""

    json: Json
    is_missing: bool = False


@dataclass
class MemoryObjects:
    """What the provider told of objects."""

    known: dict[str, MemoryObject] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, kind: str, name: str, json: Json | None) -> None:
        """Tell of an object; None for a missing one."""
        key = object_key(kind=kind, namespace="default", name=name)
        self.known[key] = MemoryObject(json or {}, is_missing=json is None)
        self.changed.set()
        self.changed = asyncio.Event()

    def get(self, *, kind: str, namespace: str, name: str) -> MemoryObject | None:
        """Return what is known."""
        return self.known.get(object_key(kind=kind, namespace=namespace, name=name))

    async def wait_known(self, keys: Collection[str], *, timeout_s: float) -> bool:
        """Wait until all are known."""
        try:
            async with asyncio.timeout(timeout_s):
                while not set(keys) <= self.known.keys():
                    await self.changed.wait()
        except TimeoutError:
            return False
        return True


def secret_of(**values: str) -> Json:
    """Return a Secret."""
    return {"data": {key: base64.b64encode(text.encode()).decode() for key, text in values.items()}}


@dataclass
class MemoryTokens:
    """Tokens that say what they were made for."""

    failure: Exception | None = None
    generation: int = 1

    async def token(self, pod: Pod, *, audience: str, expiry_s: int) -> str:
        """Return one."""
        if self.failure is not None:
            raise self.failure
        return f"{pod.uid}/{audience}/{expiry_s}/{self.generation}"
