"""Start one container of a pod: config, create, start.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go ``startContainer``.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge_runtime.pods.container_configuration import StartError
from edge_runtime.pods.hooks import POST_START_HOOK_ERROR, HookFailed
from edge_runtime.pods.interruption import outcome_of, unless
from edge_runtime.pods.pod_files import link_log
from edge_runtime.runtime.errors import RuntimeServiceError
from edge_runtime.store.local_pod_state import ContainerRecord, LocalPodState

if TYPE_CHECKING:
    from edge_runtime.objects.container import Container, ContainerID
    from edge_runtime.objects.pod import Pod, SandboxID
    from edge_runtime.objects.runtime_config import (
        ContainerConfig,
        ResolvedImage,
        SandboxConfig,
    )
    from edge_runtime.objects.runtime_status import ContainerStatus
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pod_actions.container_starts import ContainerStart
    from edge_runtime.pods.container_configuration import ContainerConfiguration
    from edge_runtime.pods.hooks import Hooks
    from edge_runtime.pods.pod_events import PodEvents
    from edge_runtime.pods.pod_settings import PodSettings

logger = logging.getLogger(__name__)


class ContainerRuntime(Protocol):
    """What makes containers (runtime/cri_client.py); every method raises RuntimeServiceError."""

    async def create_container(
        self, sandbox_id: SandboxID, config: ContainerConfig, sandbox: SandboxConfig
    ) -> ContainerID:
        """Create a container."""
        ...

    async def start_container(self, container_id: ContainerID) -> None:
        """Start it."""
        ...


class Inspector(Protocol):
    """What looks at containers (pleg/pod_inspector.py)."""

    async def container_status(
        self, container_id: ContainerID, *, sandbox_id: SandboxID | None = None
    ) -> ContainerStatus:
        """Return a container's status; raises RuntimeServiceError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedIn:
    """The sandbox in which a container is started."""

    id: SandboxID
    config: SandboxConfig


class ContainerStarter:
    """Starts containers and tells the cache at once, so that nobody starts one twice."""

    def __init__(
        self,
        runtime: ContainerRuntime,
        *,
        inspector: Inspector,
        cache: PodCache,
        records: LocalPodState,
        events: PodEvents,
        hooks: Hooks,
        configuration: ContainerConfiguration,
        settings: PodSettings,
    ) -> None:
        self._runtime = runtime
        self._inspector = inspector
        self._cache = cache
        self._records = records
        self._events = events
        self._hooks = hooks
        self._configuration = configuration
        self._settings = settings

    async def start(
        self,
        pod: Pod,
        container: Container,
        start: ContainerStart,
        *,
        sandbox: StartedIn,
        image: ResolvedImage,
        ending: asyncio.Event,
    ) -> ContainerID | None:
        """Create and start a container; when this returns the cache shows it.

        Neither is begun once `ending` is set; then a container that is not there has no id.
        Cancelling leaves what was created to the next look at the runtime.

        Raises:
            StartError: It could not; the events say so already.
            RuntimeServiceError: It was started, but its status cannot be read.
            StoreError: The attempt cannot be remembered.
        """
        try:
            # It may wait for what was not told yet; the pod's end does not wait for it.
            configuring = self._configuration.of(
                pod, container, attempt=start.attempt, image=image, sandbox=sandbox.config
            )
            config = await unless(ending, configuring)
            if config is None or ending.is_set():
                return None
            container_id = await self._create(pod, container, config, sandbox)
            async with asyncio.TaskGroup() as group:
                # The runtime holds the attempt too, so both may go on at the same time.
                remembered = group.create_task(outcome_of(self._remember(pod, start)))
                started = group.create_task(
                    outcome_of(self._start(pod, container, container_id, ending))
                )
            # Also after a failure: what was created must be seen, or it is created twice.
            await self._look(pod, container_id, sandbox.id)
            started.result().get()
            remembered.result().get()
        except StartError as exc:
            self._events.failed(pod, container.name, exc.message, container_id=exc.container_id)
            raise
        await self._link(pod, container, container_id, start.attempt)
        return container_id

    async def run_post_start(
        self, pod: Pod, container: Container, container_id: ContainerID
    ) -> None:
        """Run the hook of a container that was just started; only then does it count as running.

        Raises:
            StartError: It failed, the events say so already; the container is to be killed.
        """
        handler = container.post_start
        if handler is None:
            return
        ips = self._configuration.ips(pod)
        try:
            await self._hooks.run_hook(
                pod,
                container,
                container_id,
                handler,
                timeout_s=None,
                ip=ips[0] if ips else "",
            )
        except HookFailed as exc:
            self._events.post_start_failed(pod, container)
            raise StartError(
                reason=POST_START_HOOK_ERROR,
                message=str(exc),
                container_id=container_id,
            ) from exc

    async def _create(
        self, pod: Pod, container: Container, config: ContainerConfig, sandbox: StartedIn
    ) -> ContainerID:
        try:
            container_id = await self._runtime.create_container(sandbox.id, config, sandbox.config)
        except RuntimeServiceError as exc:
            raise StartError(reason="CreateContainerError", message=exc.message) from exc
        self._events.created(pod, container.name)
        return container_id

    async def _start(
        self, pod: Pod, container: Container, container_id: ContainerID, ending: asyncio.Event
    ) -> None:
        if ending.is_set():
            return
        try:
            await self._runtime.start_container(container_id)
        except RuntimeServiceError as exc:
            raise StartError(
                reason="RunContainerError",
                message=exc.message,
                container_id=container_id,
            ) from exc
        self._events.started(pod, container.name)

    async def _remember(self, pod: Pod, start: ContainerStart) -> None:
        backoff = start.backoff
        record = ContainerRecord(
            name=start.name,
            attempt=start.attempt,
            backoff_key=backoff.key if backoff is not None else "",
            backoff_s=backoff.delay_s if backoff is not None else 0.0,
            backoff_updated_at_s=backoff.updated_at_s if backoff is not None else 0.0,
        )
        await self._records.put(pod.uid, [record])

    async def _look(self, pod: Pod, container_id: ContainerID, sandbox_id: SandboxID) -> None:
        status = await self._inspector.container_status(container_id, sandbox_id=sandbox_id)
        self._cache.put_container(pod.uid, status)

    async def _link(
        self, pod: Pod, container: Container, container_id: ContainerID, attempt: int
    ) -> None:
        try:
            await asyncio.to_thread(
                link_log,
                self._settings,
                pod,
                container.name,
                container_id,
                attempt=attempt,
            )
        except OSError as exc:
            # Only log collectors use the link; the container runs all the same.
            logger.warning(
                "no link to a container's log",
                extra={"pod_uid": pod.uid, "error": str(exc)},
            )
