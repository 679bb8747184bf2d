"""Start what is to start of one pod: sandbox, then containers one after the other.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_manager.go ``SyncPod``, steps 4 to 9.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from edge_runtime.images.image_manager import ImageError
from edge_runtime.objects.container import ContainerKind
from edge_runtime.pod_actions.container_kills import ContainerKill, KillReason
from edge_runtime.pod_status.container_status import WaitingReason
from edge_runtime.pods.container_configuration import StartError
from edge_runtime.pods.container_start import ContainerStarter, StartedIn
from edge_runtime.pods.hooks import POST_START_HOOK_ERROR
from edge_runtime.pods.interruption import outcome_of, unless

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.objects.container import Container
    from edge_runtime.objects.pod import Pod, SandboxID
    from edge_runtime.objects.runtime_config import ResolvedImage, SandboxConfig
    from edge_runtime.pod_actions.container_starts import ContainerStart
    from edge_runtime.pod_actions.pod_actions import PodActions
    from edge_runtime.pods.sync_memory import SyncMemory


class Images(Protocol):
    """Where images come from (images/image_manager.py)."""

    async def ensure_image(
        self, pod: Pod, container: Container, *, sandbox: SandboxConfig | None = None
    ) -> ResolvedImage:
        """Return a container's image; raises ImageError, StoreError."""
        ...


class Sandboxes(Protocol):
    """What makes sandboxes (pods/pod_sandbox.py)."""

    async def config(self, pod: Pod, *, attempt: int) -> SandboxConfig:
        """Return the sandbox to ask for; raises SandboxFailed, RuntimeServiceError, OSError."""
        ...

    async def make(self, pod: Pod, config: SandboxConfig) -> SandboxID:
        """Make it; raises SandboxFailed, RuntimeServiceError."""
        ...


class Killer(Protocol):
    """What kills containers (pods/pod_termination.py)."""

    async def kill_container(self, pod: Pod, kill: ContainerKill) -> None:
        """Kill one container of a pod that goes on; raises RuntimeServiceError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pull:
    """The image of one container, on its way.

    Attributes:
        done: Set once `images` has it, or it could not be had.
    """

    start: ContainerStart
    container: Container
    done: asyncio.Event = field(default_factory=asyncio.Event)


class PodLauncher:
    """Starts sandboxes and containers as pod_actions decided; holds nothing of any single pod."""

    def __init__(
        self,
        *,
        images: Images,
        sandboxes: Sandboxes,
        starter: ContainerStarter,
        killer: Killer,
    ) -> None:
        self._images = images
        self._sandboxes = sandboxes
        self._starter = starter
        self._killer = killer

    async def launch(
        self,
        pod: Pod,
        actions: PodActions,
        memory: SyncMemory,
        *,
        changed: Callable[[], None],
    ) -> None:
        """Make the sandbox if there is to be a new one, then start the containers in order.

        Why a container could not be started is left in `memory.waiting`. Given up half way once
        `memory.ending` is set: whatever the runtime makes nevertheless, the pod's end finds.

        Args:
            pod: The pod.
            actions: What was decided.
            memory: Of the pod's worker.
            changed: Called when `memory.waiting` changed before something that takes long.

        Raises:
            SandboxFailed: No sandbox could be made; the events say so already.
            RuntimeServiceError: A container was started, but its status cannot be read.
            OSError: The log folders cannot be made.
            StoreError: The disk refuses.
        """
        config = await self._sandboxes.config(pod, attempt=actions.sandbox_attempt)
        pulls = [
            _Pull(start=start, container=container)
            for start in actions.start
            if (container := pod.container(start.name)) is not None
        ]
        found: dict[str, ResolvedImage] = {}
        # Images are looked for, and pulled, while the sandbox gets its network and while the
        # containers before them start.
        async with asyncio.TaskGroup() as group:
            images = group.create_task(
                outcome_of(unless(memory.ending, self._pull(pod, pulls, memory, found, changed)))
            )
            started = group.create_task(
                outcome_of(self._start_all(pod, actions, config, pulls, memory, found))
            )
            started.add_done_callback(lambda _: images.cancel())
        if not images.cancelled():
            images.result().get()
        started.result().get()

    async def _pull(
        self,
        pod: Pod,
        pulls: list[_Pull],
        memory: SyncMemory,
        found: dict[str, ResolvedImage],
        changed: Callable[[], None],
    ) -> None:
        try:
            for each in pulls:
                name = each.container.name
                try:
                    found[name] = await self._images.ensure_image(pod, each.container)
                except ImageError as exc:
                    memory.waiting[name] = WaitingReason(reason=exc.reason, message=exc.message)
                    # The next pull may take long: what failed is shown before.
                    changed()
                each.done.set()
        finally:
            # Whatever ended this: whoever starts the containers MUST NOT wait for an image that
            # nobody looks for any more.
            for each in pulls:
                each.done.set()

    async def _start_all(
        self,
        pod: Pod,
        actions: PodActions,
        config: SandboxConfig,
        pulls: list[_Pull],
        memory: SyncMemory,
        found: dict[str, ResolvedImage],
    ) -> None:
        sandbox_id = await unless(memory.ending, self._sandbox(pod, actions, config))
        if sandbox_id is None:
            return
        place = StartedIn(id=sandbox_id, config=config)
        for each in pulls:
            await unless(memory.ending, _wait(each.done))
            if memory.ending.is_set():
                return
            image = found.get(each.container.name)
            is_started = image is not None and await self._start(
                pod, each, memory, sandbox=place, image=image
            )
            is_init = each.container.kind is ContainerKind.INIT
            if not is_started and is_init and not each.container.is_sidecar:
                # Whatever comes after needs it.
                return

    async def _sandbox(self, pod: Pod, actions: PodActions, config: SandboxConfig) -> SandboxID:
        if not actions.create_sandbox and actions.sandbox_id is not None:
            return actions.sandbox_id
        return await self._sandboxes.make(pod, config)

    async def _start(
        self,
        pod: Pod,
        pull: _Pull,
        memory: SyncMemory,
        *,
        sandbox: StartedIn,
        image: ResolvedImage,
    ) -> bool:
        name = pull.container.name
        if pull.container.post_start is not None:
            memory.in_post_start[name] = pull.start.attempt
        try:
            container_id = await self._starter.start(
                pod,
                pull.container,
                pull.start,
                sandbox=sandbox,
                image=image,
                ending=memory.ending,
            )
            if container_id is None:
                return False
            # A hook may hang: the pod's end does not wait for it.
            await unless(
                memory.ending, self._starter.run_post_start(pod, pull.container, container_id)
            )
        except StartError as exc:
            memory.waiting[name] = WaitingReason(reason=exc.reason, message=exc.message)
            if exc.reason == POST_START_HOOK_ERROR and exc.container_id is not None:
                kill = ContainerKill(
                    id=exc.container_id,
                    name=name,
                    message="FailedPostStartHook",
                    reason=KillReason.FAILED_POST_START_HOOK,
                )
                await self._killer.kill_container(pod, kill)
            return False
        finally:
            memory.in_post_start.pop(name, None)
        memory.waiting.pop(name, None)
        return True


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
