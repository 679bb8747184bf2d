"""The ConfigMaps and Secrets that volumes are made of, as the edge has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from edge_runtime.volumes.plugin import VolumeError
from tunnel.sync import object_key

if TYPE_CHECKING:
    from collections.abc import Collection

Json = dict[str, Any]

# The provider tells of an object with the first pod that refers to it. Until it did, the sync that
# its coming brings about is sooner than any longer wait.
# Source: kubernetes pkg/kubelet/util/manager/watch_based_manager.go ``Get``.
WAIT_S = 1.0


class StoredObject(Protocol):
    """What is known of an object (store/object_store.py)."""

    @property
    def is_missing(self) -> bool:
        """Whether the API does not have it."""
        ...

    @property
    def json(self) -> Json:
        """The object."""
        ...


class Objects(Protocol):
    """Where they are kept (store/object_store.py)."""

    def get(self, *, kind: str, namespace: str, name: str) -> StoredObject | None:
        """Return what is known of an object; None when the provider has not told yet."""
        ...

    async def wait_known(self, keys: Collection[str], *, timeout_s: float) -> bool:
        """Wait until the provider told of all these; return whether it did."""
        ...


class ReferencedObjects:
    """Looks objects up, and says in a kubelet's words why one cannot be had."""

    def __init__(self, objects: Objects, *, wait_s: float = WAIT_S) -> None:
        self._objects = objects
        self._wait_s = wait_s

    async def get(self, *, kind: str, namespace: str, name: str, optional: bool) -> Json:
        """Return an object, waiting a moment for the provider; cancelling is safe.

        Returns:
            The object; an empty mapping when the API does not have it and it is optional.

        Raises:
            VolumeError: It is missing, or the provider has not told of it yet.
        """
        key = object_key(kind=kind, namespace=namespace, name=name)
        await self._objects.wait_known([key], timeout_s=self._wait_s)
        found = self._objects.get(kind=kind, namespace=namespace, name=name)
        if found is None:
            message = "timed out waiting for the condition"
            raise VolumeError(f"failed to sync {kind.lower()} cache: {message}")
        if found.is_missing:
            if optional:
                return {}
            raise VolumeError(f'{kind.lower()} "{name}" not found')
        return found.json
