"""What separates a pod from the machine beyond its namespaces: runtime handler and own users.

Source: kubernetes pkg/kubelet/runtimeclass/runtimeclass_manager.go ``LookupRuntimeHandler``,
pkg/kubelet/userns/userns_manager.go ``GetOrCreateUserNamespaceMappings``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tunnel.sync import object_key

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.runtime_config import IDRange
    from edge_runtime.objects.runtime_info import RuntimeStatus
    from edge_runtime.store.object_store import StoredObject

_KIND = "RuntimeClass"
# The provider sends what a pod refers to with the pod.
WAIT_S = 5.0


class IsolationError(Exception):
    """The pod cannot be separated as it asks; the message is a kubelet's."""


class Objects(Protocol):
    """What the provider told of objects (store/object_store.py)."""

    def get(self, *, kind: str, namespace: str, name: str) -> StoredObject | None:
        """Return what is known of an object, None when the provider has not told yet."""
        ...

    async def wait_known(self, keys: Collection[str], *, timeout_s: float) -> bool:
        """Wait until the provider told of all these objects; return whether it did."""
        ...


class Features(Protocol):
    """What tells what the runtime can do (runtime/cri_client.py)."""

    async def status(self) -> RuntimeStatus:
        """Return it; raises RuntimeServiceError."""
        ...


class Users(Protocol):
    """What gives pods users of their own (pods/user_namespaces.py)."""

    async def ids_of(self, uid: PodUID) -> IDRange:
        """Return a pod's ids, the same each time; raises OSError, OutOfIDs."""
        ...


class OutOfIDs(Exception):
    """All ids of this machine are pods' already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """How a pod is separated: its runtime handler, "" for the default, and its own users."""

    runtime_handler: str = ""
    users: IDRange | None = None


class SandboxIsolation:
    """Finds out how pods are separated; holds nothing of any single one."""

    def __init__(self, *, objects: Objects, runtime: Features, users: Users) -> None:
        self._objects = objects
        self._runtime = runtime
        self._users = users

    async def of(self, pod: Pod) -> Isolation:
        """Return how a pod is separated; its users are kept on disk before this returns.

        Raises:
            IsolationError: Its RuntimeClass is not there, or the runtime cannot do it.
            RuntimeServiceError: The runtime does not tell what it can do.
            OSError: The pod's ids cannot be kept.
        """
        handler = await self._handler(pod.runtime_class_name)
        if pod.spec.get("hostUsers") is not False:
            return Isolation(runtime_handler=handler)
        status = await self._runtime.status()
        if not any(each.name == handler and each.user_namespaces for each in status.handlers):
            who = f"RuntimeClass handler {_quoted(handler)}" if handler else "runtime"
            raise IsolationError(
                f"can't set `spec.hostUsers: false`, {who} does not support user namespaces"
            )
        try:
            users = await self._users.ids_of(pod.uid)
        except OutOfIDs as exc:
            raise IsolationError(f"create user namespace: {exc}") from exc
        return Isolation(runtime_handler=handler, users=users)

    async def _handler(self, name: str) -> str:
        if not name:
            return ""
        key = object_key(kind=_KIND, namespace="", name=name)
        await self._objects.wait_known([key], timeout_s=WAIT_S)
        found = self._objects.get(kind=_KIND, namespace="", name=name)
        if found is None:
            raise IsolationError(
                f"failed to lookup RuntimeClass {name}: the cloud has not told of it yet"
            )
        if found.is_missing:
            raise IsolationError(f"runtimeclass.node.k8s.io {_quoted(name)} not found")
        return str(found.json.get("handler") or "")


def _quoted(text: str) -> str:
    return f'"{text}"'
