"""Stop one container: its preStop hook, its turn, its stop signal.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go ``killContainer``,
``executePreStopHook``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from edge_runtime.pod_actions.stop_order import compute_stop_order
from edge_runtime.pods.hooks import HookFailed
from edge_runtime.pods.interruption import outcome_of
from edge_runtime.runtime.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_runtime.objects.container import Container, ContainerID
    from edge_runtime.objects.pod import Pod
    from edge_runtime.pods.hooks import Hooks
    from edge_runtime.pods.interruption import Outcome
    from edge_runtime.pods.pod_events import PodEvents

# A container always gets a moment between the signal and the kill.
# Source: kubernetes pkg/kubelet/kuberuntime ``minimumGracePeriodInSeconds``.
MIN_STOP_S = 2
# A hook that outlived its container learns so from its connection, or never.
HOOK_END_S = 1.0

logger = logging.getLogger(__name__)


class StopRuntime(Protocol):
    """What stops containers (runtime/cri_client.py); raises RuntimeServiceError."""

    async def stop_container(self, container_id: ContainerID, *, timeout_s: int) -> None:
        """Stop a container; idempotent."""
        ...


class StopTurns:
    """Lets the containers of one pod end in their order."""

    def __init__(self, pod: Pod, running: Collection[str]) -> None:
        self._waits_for = compute_stop_order(pod, running)
        self._ended = {name: asyncio.Event() for name in running}

    async def wait(self, name: str, *, grace_period_s: int) -> None:
        """Wait until it is a container's turn, at most for the grace period."""
        try:
            async with asyncio.timeout(grace_period_s):
                for each in self._waits_for.get(name, ()):
                    await self._ended[each].wait()
        except TimeoutError:
            logger.debug("a container's turn came with the end of its grace period")

    def end(self, name: str) -> None:
        """Note that a container ended."""
        if name in self._ended:
            self._ended[name].set()


class ContainerStopper:
    """Stops containers; holds nothing of any single one."""

    def __init__(self, runtime: StopRuntime, *, hooks: Hooks, events: PodEvents) -> None:
        self._runtime = runtime
        self._hooks = hooks
        self._events = events

    async def stop(
        self,
        pod: Pod,
        container: Container,
        container_id: ContainerID,
        *,
        grace_period_s: int,
        ip: str,
        turns: StopTurns | None = None,
    ) -> None:
        """Run the preStop hook, wait for the container's turn, stop it.

        The hook and the wait are taken from the grace period; at least 2 s are left for the
        container itself. One that is gone counts as stopped. Cancelling leaves the container as it
        is; called again, the hook runs again, as in a kubelet.

        Args:
            pod: The pod, with what is known of it.
            container: What is to be stopped.
            container_id: The attempt that runs.
            grace_period_s: For all of it.
            ip: The pod's address, for HTTP hooks.
            turns: The order among the pod's containers, None when only this one is stopped.

        Raises:
            RuntimeServiceError: The runtime does not answer, or refuses.
        """
        loop = asyncio.get_running_loop()
        left_s = grace_period_s
        async with asyncio.TaskGroup() as group:
            hook: asyncio.Task[Outcome[None]] | None = None
            if container.pre_stop is not None and left_s > 0:
                began_s = loop.time()
                hook = group.create_task(
                    outcome_of(self._run_hook(pod, container, container_id, ip=ip))
                )
                await asyncio.wait({hook}, timeout=left_s)
                left_s -= int(loop.time() - began_s)
            if turns is not None and left_s > 0:
                began_s = loop.time()
                await turns.wait(container.name, grace_period_s=left_s)
                left_s -= int(loop.time() - began_s)
            stopped = await outcome_of(self._stop(container_id, max(left_s, MIN_STOP_S)))
            if hook is not None:
                await _end_hook(hook, container)
        stopped.get()
        if hook is not None and not hook.cancelled():
            hook.result().get()
        if turns is not None:
            turns.end(container.name)

    async def _stop(self, container_id: ContainerID, timeout_s: int) -> None:
        try:
            await self._runtime.stop_container(container_id, timeout_s=timeout_s)
        except NotFound:
            logger.debug("a container was gone already", extra={"container_id": container_id})

    async def _run_hook(
        self, pod: Pod, container: Container, container_id: ContainerID, *, ip: str
    ) -> None:
        handler = container.pre_stop
        if handler is None:
            raise AssertionError("the caller knows that there is a hook")
        try:
            await self._hooks.run_hook(pod, container, container_id, handler, timeout_s=None, ip=ip)
        except HookFailed as exc:
            extra = {"pod_uid": pod.uid, "container_name": container.name, "error": str(exc)}
            logger.warning("a preStop hook failed", extra=extra)
            self._events.pre_stop_failed(pod, container.name)


async def _end_hook(hook: asyncio.Task[Outcome[None]], container: Container) -> None:
    """Give a hook up whose container has ended; what it runs inside that ended with it."""
    is_asleep = (container.pre_stop or {}).get("sleep") is not None
    if not hook.done() and not is_asleep:
        await asyncio.wait({hook}, timeout=HOOK_END_S)
    hook.cancel()
