"""What each pod was admitted with: a checkpoint, so that no restart asks again.

A pod that has a row was admitted. Its containers run with what is allocated here, whatever its
spec says meanwhile, until a resize is taken up (admission/resize.py).

Source: kubernetes pkg/kubelet/allocation/state/state_checkpoint.go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from edge_runtime.objects.pod import PodUID
from edge_runtime.store.errors import StoreDamaged

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from edge_runtime.store.database import Database

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodAllocation:
    """What one pod holds.

    Attributes:
        allocated: ``resources`` of each resizable container, by name, as the API writes them.
        actuated: The same by container id, of running containers to which the runtime has not
            applied what is allocated yet; a container that is not here runs with what is. "" stands
            for the pod's own cgroup.
    """

    allocated: Mapping[str, Json] = field(default_factory=dict)
    actuated: Mapping[str, Json] = field(default_factory=dict)


class AllocationStore:
    """Allocations by pod UID, all in memory, every change on disk before it counts."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._allocations: dict[PodUID, PodAllocation] = {}

    async def load(self) -> None:
        """Read all allocations; once, before anything else.

        Raises:
            StoreDamaged: A row cannot be read as what was written.
        """
        self._allocations = await self._database.run(_load)

    def get(self, uid: PodUID) -> PodAllocation | None:
        """Return what a pod was admitted with, None for one that was not."""
        return self._allocations.get(uid)

    async def put(self, uid: PodUID, allocation: PodAllocation) -> None:
        """Keep what a pod holds; return once it is on disk.

        Raises:
            StoreError: The disk refuses; nothing changed.
        """
        await self._database.write(
            "INSERT OR REPLACE INTO allocations (uid, allocation) VALUES (?, ?)",
            [(uid, msgspec.json.encode(allocation))],
        )
        self._allocations[uid] = allocation

    def forget(self, uid: PodUID) -> None:
        """Drop a pod's allocation from memory; PodStore.remove took it off the disk."""
        self._allocations.pop(uid, None)


def _load(connection: sqlite3.Connection) -> dict[PodUID, PodAllocation]:
    rows = connection.execute("SELECT uid, allocation FROM allocations")
    return {PodUID(uid): _decode(uid, body) for uid, body in rows}


def _decode(uid: str, body: bytes) -> PodAllocation:
    try:
        found = msgspec.json.decode(body, type=dict[str, dict[str, Json]])
        return PodAllocation(allocated=found["allocated"], actuated=found["actuated"])
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError) as exc:
        raise StoreDamaged(f"the stored allocation of pod {uid} cannot be read: {exc}") from exc
