"""The newest runtime status of each pod.

Two write here: the PLEG, which asks the runtime, and the pod's worker, which knows what it just
did. A container's state only goes forward, so that an answer that was read before the container
exited never brings it back to life.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from edge_runtime.objects.runtime_status import ContainerState, PodRuntimeStatus, SandboxState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import PodUID, SandboxID
    from edge_runtime.objects.runtime_status import ContainerStatus, SandboxStatus

# UNKNOWN may turn into anything and back: the runtime lost track and found it again.
_RANK = {
    ContainerState.UNKNOWN: 0,
    ContainerState.CREATED: 0,
    ContainerState.RUNNING: 1,
    ContainerState.EXITED: 2,
}


class PodCache:
    """Runtime statuses by pod UID; bounded by what the runtime has."""

    def __init__(self) -> None:
        self._statuses: dict[PodUID, PodRuntimeStatus] = {}
        self._versions: dict[PodUID, int] = {}
        self._version = 0

    def get(self, uid: PodUID) -> PodRuntimeStatus:
        """Return a pod's status; an empty one when the runtime has nothing of it."""
        return self._statuses.get(uid) or PodRuntimeStatus(uid=uid)

    def uids(self) -> tuple[PodUID, ...]:
        """Return the pods of which the runtime has something."""
        return tuple(self._statuses)

    def containers(self) -> tuple[ContainerStatus, ...]:
        """Return all containers of all pods."""
        return tuple(each for status in self._statuses.values() for each in status.containers)

    def find(self, runtime_id: str) -> PodUID | None:
        """Return the pod of a container or sandbox id, None for an unknown one."""
        for uid, status in self._statuses.items():
            ids: set[str] = {each.id for each in status.containers}
            if runtime_id in ids | {each.id for each in status.sandboxes}:
                return uid
        return None

    def version(self, uid: PodUID) -> int:
        """Return a number that changes with every write to this pod."""
        return self._versions.get(uid, 0)

    def replace(self, status: PodRuntimeStatus, *, version: int) -> bool:
        """Take a pod's whole status as read since `version`; refuse it if something was written.

        Returns:
            Whether it was taken; if not, read again.
        """
        if self.version(status.uid) != version:
            return False
        self._write(status)
        return True

    def put_sandbox(self, uid: PodUID, sandbox: SandboxStatus) -> None:
        """Add or update one sandbox."""
        status = self.get(uid)
        old = next((each for each in status.sandboxes if each.id == sandbox.id), None)
        if old is not None and old.state is SandboxState.NOT_READY:
            return
        others = [each for each in status.sandboxes if each.id != sandbox.id]
        sandboxes = sorted(
            [*others, sandbox], key=lambda each: (each.attempt, each.created_at_ns), reverse=True
        )
        self._write(
            dataclasses.replace(
                status,
                name=sandbox.pod_name,
                namespace=sandbox.pod_namespace,
                sandboxes=tuple(sandboxes),
            )
        )

    def put_container(self, uid: PodUID, container: ContainerStatus) -> None:
        """Add or update one container."""
        status = self.get(uid)
        old = next((each for each in status.containers if each.id == container.id), None)
        if old is not None and _RANK[old.state] > _RANK[container.state]:
            return
        others = [each for each in status.containers if each.id != container.id]
        containers = sorted(
            [*others, container], key=lambda each: (each.created_at_ns, each.attempt), reverse=True
        )
        self._write(dataclasses.replace(status, containers=tuple(containers)))

    def remove(self, uid: PodUID, ids: Iterable[ContainerID | SandboxID]) -> None:
        """Take out containers and sandboxes that were removed from the runtime."""
        status, gone = self.get(uid), set(ids)
        self._write(
            dataclasses.replace(
                status,
                sandboxes=tuple(each for each in status.sandboxes if each.id not in gone),
                containers=tuple(each for each in status.containers if each.id not in gone),
            )
        )

    def _write(self, status: PodRuntimeStatus) -> None:
        # One counter for all pods, so that a pod that comes back has a version it never had.
        self._version += 1
        if status.is_empty:
            self._statuses.pop(status.uid, None)
            self._versions.pop(status.uid, None)
        else:
            self._statuses[status.uid] = status
            self._versions[status.uid] = self._version
