"""Stop a pod, and remove all that is left of it.

Source: kubernetes pkg/kubelet/kuberuntime ``killPodWithSyncResult``, pkg/kubelet/kubelet.go
``SyncTerminatingPod``, ``SyncTerminatedPod``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from edge_runtime.objects.container import Container
from edge_runtime.objects.qos import QOSClass
from edge_runtime.objects.runtime_status import ContainerState, PodRuntimeStatus
from edge_runtime.pod_actions.stop_order import compute_kill_grace_s
from edge_runtime.pods.container_stop import ContainerStopper, StopTurns
from edge_runtime.pods.pod_files import (
    PodFolders,
    find_pod_folders,
    remove_log,
    remove_pod_logs,
)
from edge_runtime.pods.pod_mounts import remove_mounts
from edge_runtime.pods.restored_pod import restore_pod
from edge_runtime.pods.user_namespaces import release_ids
from edge_runtime.runtime.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import Pod, PodUID, SandboxID
    from edge_runtime.objects.runtime_status import ContainerStatus
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pod_actions.container_kills import ContainerKill
    from edge_runtime.pods.hooks import Hooks
    from edge_runtime.pods.pod_events import PodEvents
    from edge_runtime.pods.pod_settings import PodSettings

logger = logging.getLogger(__name__)


class StoppingRuntime(Protocol):
    """What stops and removes (runtime/cri_client.py); every method raises RuntimeServiceError."""

    async def stop_container(self, container_id: ContainerID, *, timeout_s: int) -> None:
        """Stop a container; idempotent."""
        ...

    async def stop_pod_sandbox(self, sandbox_id: SandboxID) -> None:
        """Stop a sandbox; idempotent."""
        ...

    async def remove_pod_sandbox(self, sandbox_id: SandboxID) -> None:
        """Remove a sandbox with its containers; idempotent."""
        ...

    async def remove_container(self, container_id: ContainerID) -> None:
        """Remove a container; idempotent."""
        ...


class Refresher(Protocol):
    """Looks at one pod (pleg/generic_pleg.py)."""

    async def refresh(self, uid: PodUID) -> PodRuntimeStatus:
        """Return what the runtime has of a pod now; raises RuntimeServiceError."""
        ...


class Volumes(Protocol):
    """What takes volumes away (volumes/volume_manager.py)."""

    async def unmount(self, uid: PodUID) -> None:
        """Unmount and remove all volumes of a pod; idempotent; raises OSError."""
        ...


class StillRunning(Exception):
    """Something of the pod runs or is there although it was stopped or removed: try again."""


class PodTermination:
    """Stops and removes pods; holds nothing of any single one."""

    def __init__(
        self,
        runtime: StoppingRuntime,
        *,
        pleg: Refresher,
        cache: PodCache,
        hooks: Hooks,
        volumes: Volumes,
        events: PodEvents,
        settings: PodSettings,
    ) -> None:
        self._runtime = runtime
        self._stopper = ContainerStopper(runtime, hooks=hooks, events=events)
        self._volumes = volumes
        self._pleg = pleg
        self._cache = cache
        self._events = events
        self._settings = settings

    async def kill(self, pod: Pod, *, grace_period_s: int) -> None:
        """Stop all containers of a pod, each with its hook and in its turn, then its sandboxes.

        Cancelling is safe: call it again, perhaps with a shorter grace period.

        Args:
            pod: The pod.
            grace_period_s: For hooks, turns, and from the stop signal to the kill; at least 2 s are
                given to the last.

        Raises:
            StillRunning: A container still runs.
            RuntimeServiceError: The runtime does not answer, or refuses.
        """
        status = await self._pleg.refresh(pod.uid)
        for each in _running(status):
            self._events.killing(pod, each.name)
        await self._kill(pod, status, grace_period_s=grace_period_s)

    async def kill_all(self, status: PodRuntimeStatus, *, grace_period_s: int) -> None:
        """Stop a pod whose object is gone, as far as its containers tell how.

        Without events: nobody may be left to read them.

        Raises:
            StillRunning: A container still runs.
            RuntimeServiceError: The runtime does not answer, or refuses.
        """
        await self._kill(restore_pod(status), status, grace_period_s=grace_period_s)

    async def kill_container(self, pod: Pod, kill: ContainerKill) -> None:
        """Stop one container of a pod that goes on; one that is gone counts as stopped.

        Raises:
            RuntimeServiceError: The runtime does not answer, or refuses.
        """
        self._events.killing(pod, kill.name, kill.message)
        status = self._cache.get(pod.uid)
        container = _container(pod, restore_pod(status), kill.name)
        await self._stopper.stop(
            pod,
            container,
            kill.id,
            grace_period_s=compute_kill_grace_s(pod, container, kill.reason),
            ip=self._ip(pod, status),
        )

    async def _kill(self, pod: Pod, status: PodRuntimeStatus, *, grace_period_s: int) -> None:
        running, restored = _running(status), restore_pod(status)
        turns = StopTurns(pod, {each.name for each in running})
        await _all(
            self._stopper.stop(
                pod,
                _container(pod, restored, each.name),
                each.id,
                grace_period_s=grace_period_s,
                ip=self._ip(pod, status),
                turns=turns,
            )
            for each in running
        )
        await _all(self._stop_sandbox(status.uid, each.id) for each in status.sandboxes)
        left = await self._pleg.refresh(status.uid)
        running = _running(left)
        if running or left.ready_sandboxes:
            names = [each.name for each in running] or ["the sandbox"]
            raise StillRunning(f"{', '.join(names)} still runs")

    def _ip(self, pod: Pod, status: PodRuntimeStatus) -> str:
        ips = self._settings.host_ips() if pod.host_network else status.ips
        return ips[0] if ips else ""

    async def _stop_sandbox(self, uid: PodUID, sandbox_id: SandboxID) -> None:
        try:
            await self._runtime.stop_pod_sandbox(sandbox_id)
        except NotFound:
            # containerd 1.6 says so, although CRI wants it to count as stopped.
            logger.debug("a sandbox was gone already", extra={"pod_uid": uid})

    async def remove_containers(self, pod: Pod) -> None:
        """Remove the dead containers of a pod that ended, with their logs, to make room.

        What it was is told by its status alone from then on. Idempotent.

        Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_gc.go ``evictContainers``.

        Raises:
            RuntimeServiceError: The runtime does not answer, or refuses.
            OSError: A file cannot be removed.
        """
        for each in self._cache.get(pod.uid).containers:
            if each.state is not ContainerState.EXITED:
                continue
            await self.remove_container(pod, each.id, each)

    async def remove_container(
        self, pod: Pod, container_id: ContainerID, dead: ContainerStatus | None
    ) -> None:
        """Remove a dead container, and its log where its status is known.

        Raises:
            RuntimeServiceError: The runtime does not answer, or refuses.
            OSError: The log cannot be removed.
        """
        await self._runtime.remove_container(container_id)
        self._cache.remove(pod.uid, [container_id])
        if dead is not None:
            await asyncio.to_thread(
                remove_log, self._settings, pod, dead.name, dead.id, attempt=dead.restart_count
            )

    async def left_on_disk(self) -> list[PodFolders]:
        """Return the pods of which there are folders.

        Raises:
            OSError: They cannot be read.
        """
        return await asyncio.to_thread(find_pod_folders, self._settings)

    async def remove_volumes(self, uid: PodUID) -> None:
        """Unmount and remove all volumes of a pod of which nothing runs any more; idempotent.

        Source: kubernetes pkg/kubelet/kubelet.go ``SyncTerminatedPod``.

        Raises:
            OSError: Something is in use or cannot be removed.
        """
        await self._volumes.unmount(uid)

    async def remove(self, uid: PodUID, *, namespace: str, name: str) -> None:
        """Remove all that is left of a stopped pod: containers, volumes, logs, cgroups.

        Idempotent.

        Raises:
            StillRunning: The runtime still has something of it.
            RuntimeServiceError: The runtime does not answer, or refuses.
            OSError: A file cannot be removed.
            CgroupError: A cgroup cannot be removed, because something still runs in it.
        """
        status = await self._pleg.refresh(uid)
        await _all(self._runtime.remove_container(each.id) for each in status.containers)
        await _all(self._runtime.remove_pod_sandbox(each.id) for each in status.sandboxes)
        if not status.is_empty and not (await self._pleg.refresh(uid)).is_empty:
            raise StillRunning("the runtime still has something of the pod")
        await asyncio.to_thread(
            remove_pod_logs, self._settings, namespace=namespace, name=name, uid=uid
        )
        await asyncio.to_thread(release_ids, self._settings.pods_dir, uid)
        await self.remove_volumes(uid)
        await asyncio.to_thread(remove_mounts, self._settings, uid)
        # Of whatever class it was: of a pod that nobody knows any more only the UID is left.
        for qos in QOSClass:
            await self._settings.cgroups.remove(self._settings.cgroup_parent(uid, qos))


def _container(pod: Pod, restored: Pod, name: str) -> Container:
    """Return a container as the pod has it, or as the runtime tells of one that the pod lacks."""
    found = pod.container(name) or restored.container(name)
    return found if found is not None else Container({"name": name})


def _running(status: PodRuntimeStatus) -> list[ContainerStatus]:
    states = (ContainerState.RUNNING, ContainerState.UNKNOWN)
    return [each for each in status.containers if each.state in states]


async def _all(calls: Iterable[Coroutine[None, None, None]]) -> None:
    """Run calls at the same time and wait for all; the first failure is raised at the end."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for each in results:
        if isinstance(each, BaseException):
            raise each
