"""A container runtime in memory, without sockets: for tests in virtual time.

It watches over itself: a container never runs twice at the same time, and nothing starts once
`ends` says that the pod's end began.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from typing import TYPE_CHECKING

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import PodUID, SandboxID
from edge_runtime.objects.runtime_config import ResolvedImage
from edge_runtime.objects.runtime_status import (
    ContainerState,
    ContainerStatus,
    NamespaceMode,
    PodListing,
    PodRuntimeStatus,
    SandboxState,
    SandboxStatus,
)
from edge_runtime.runtime.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge_runtime.objects.container import Container
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.runtime_config import ContainerConfig, SandboxConfig

_RUNNING = ContainerState.RUNNING


class MemoryRuntime:
    """Sandboxes and containers of pods, as CriClient shows them."""

    def __init__(self, *, now_s: Callable[[], float]) -> None:
        self.now_s = now_s
        self.sandboxes: dict[SandboxID, SandboxStatus] = {}
        self.containers: dict[ContainerID, ContainerStatus] = {}
        self.failures: Counter[str] = Counter()
        self.stop_exit_code = 143
        # Whether a pod's end began: nothing may start any more.
        self.ends: Callable[[PodUID], bool] = lambda _: False
        self.violations: list[str] = []
        self.calls: Counter[str] = Counter()
        self._ids = itertools.count(1)

    # What a test does.

    def running(self) -> list[ContainerStatus]:
        """Return the containers that run, oldest first."""
        return [each for each in self.containers.values() if each.state is _RUNNING]

    def exit(self, container_id: ContainerID, exit_code: int) -> None:
        """Let a container end."""
        self._set(
            container_id,
            state=ContainerState.EXITED,
            exit_code=exit_code,
            finished_at_ns=self._now_ns(),
            reason="Completed" if exit_code == 0 else "Error",
        )

    def lose_track(self, container_id: ContainerID) -> None:
        """Let a container's state be unknown; it runs on."""
        self._set(container_id, state=ContainerState.UNKNOWN)

    def lose(self, container_id: ContainerID) -> None:
        """Forget a container that does not run."""
        del self.containers[container_id]

    def reboot(self) -> None:
        """End everything, as when the power comes back."""
        for sandbox_id in self.sandboxes:
            self._stop_sandbox(sandbox_id)

    # What CriClient does.

    async def list_pod_sandboxes(self) -> Sequence[SandboxStatus]:
        """Return all sandboxes."""
        self._enter("list_pod_sandboxes")
        return list(self.sandboxes.values())

    async def list_containers(self) -> Sequence[ContainerStatus]:
        """Return all containers."""
        self._enter("list_containers")
        return list(self.containers.values())

    async def pod_status(
        self, uid: PodUID, *, listed: PodListing | None = None
    ) -> PodRuntimeStatus:
        """Return all of one pod."""
        del listed
        self._enter("pod_status")
        sandboxes = [each for each in self.sandboxes.values() if each.pod_uid == uid]
        containers = [each for each in self.containers.values() if each.pod_uid == uid]
        return PodRuntimeStatus(
            uid=uid,
            name="p",
            namespace="ns",
            sandboxes=tuple(
                sorted(sandboxes, key=lambda each: (each.attempt, each.created_at_ns), reverse=True)
            ),
            containers=tuple(
                sorted(
                    containers, key=lambda each: (each.created_at_ns, each.attempt), reverse=True
                )
            ),
        )

    async def container_status(
        self, container_id: ContainerID, *, sandbox_id: SandboxID | None = None
    ) -> ContainerStatus:
        """Return one container."""
        self._enter("container_status")
        del sandbox_id
        return self._found(container_id)

    async def ensure_image(
        self, pod: Pod, container: Container, *, sandbox: SandboxConfig | None = None
    ) -> ResolvedImage:
        """Return an image: every one is there."""
        del pod, sandbox
        return ResolvedImage(ref=container.image)

    async def run_pod_sandbox(self, config: SandboxConfig) -> SandboxID:
        """Make a sandbox."""
        self._start_call("run_pod_sandbox", PodUID(config.uid))
        number = next(self._ids)
        sandbox_id = SandboxID(f"s{number}")
        self.sandboxes[sandbox_id] = SandboxStatus(
            id=sandbox_id,
            pod_name=config.name,
            pod_namespace=config.namespace,
            pod_uid=PodUID(config.uid),
            attempt=config.attempt,
            state=SandboxState.READY,
            created_at_ns=self._now_ns() + number,
            ips=(f"10.0.0.{number % 250 + 1}",),
            network=NamespaceMode.POD,
        )
        return sandbox_id

    async def create_container(
        self, sandbox_id: SandboxID, config: ContainerConfig, sandbox: SandboxConfig
    ) -> ContainerID:
        """Create a container."""
        self._start_call("create_container", PodUID(sandbox.uid))
        if sandbox_id not in self.sandboxes:
            raise NotFound(method="sandbox", message=sandbox_id)
        number = next(self._ids)
        container_id = ContainerID(f"c{number}")
        self.containers[container_id] = ContainerStatus(
            id=container_id,
            sandbox_id=sandbox_id,
            name=config.name,
            attempt=config.attempt,
            state=ContainerState.CREATED,
            created_at_ns=self._now_ns() + number,
            image=config.image_ref,
            image_ref=config.image_ref,
            labels=config.labels,
            annotations=config.annotations,
        )
        return container_id

    async def start_container(self, container_id: ContainerID) -> None:
        """Start a container."""
        found = self._found(container_id)
        twins = [
            each.id
            for each in self.containers.values()
            if each.name == found.name
            and each.pod_uid == found.pod_uid
            and each.state in (_RUNNING, ContainerState.UNKNOWN)
        ]
        if twins:
            self.violations.append(f"{found.name} runs twice: {twins} and {container_id}")
        if self.failures["start_container"]:
            self._set(
                container_id,
                state=ContainerState.EXITED,
                exit_code=128,
                reason="StartError",
                finished_at_ns=self._now_ns(),
            )
        self._start_call("start_container", found.pod_uid)
        self._set(container_id, state=_RUNNING, started_at_ns=self._now_ns())

    async def stop_container(self, container_id: ContainerID, *, timeout_s: int) -> None:
        """Stop a container."""
        self._enter("stop_container")
        del timeout_s
        if self._found(container_id).state in (_RUNNING, ContainerState.UNKNOWN):
            self.exit(container_id, self.stop_exit_code)

    async def stop_pod_sandbox(self, sandbox_id: SandboxID) -> None:
        """Stop a sandbox and what runs in it."""
        self._enter("stop_pod_sandbox")
        if sandbox_id not in self.sandboxes:
            raise NotFound(method="sandbox", message=sandbox_id)
        self._stop_sandbox(sandbox_id)

    async def remove_pod_sandbox(self, sandbox_id: SandboxID) -> None:
        """Remove a sandbox with its containers."""
        self._enter("remove_pod_sandbox")
        self.sandboxes.pop(sandbox_id, None)
        for each in list(self.containers.values()):
            if each.sandbox_id == sandbox_id:
                del self.containers[each.id]

    async def remove_container(self, container_id: ContainerID) -> None:
        """Remove a container."""
        self._enter("remove_container")
        found = self.containers.pop(container_id, None)
        if found is not None and found.state is _RUNNING:
            self.violations.append(f"{found.name} is removed while it runs")

    def _stop_sandbox(self, sandbox_id: SandboxID) -> None:
        sandbox = self.sandboxes[sandbox_id]
        self.sandboxes[sandbox_id] = dataclasses.replace(
            sandbox, state=SandboxState.NOT_READY, ips=()
        )
        for each in list(self.containers.values()):
            if each.sandbox_id == sandbox_id and each.state in (_RUNNING, ContainerState.UNKNOWN):
                self.exit(each.id, 137)

    def _start_call(self, method: str, uid: PodUID) -> None:
        if self.ends(uid):
            self.violations.append(f"{method} after the pod's end began")
        self._enter(method)

    def _enter(self, method: str) -> None:
        self.calls[method] += 1
        if self.failures[method]:
            self.failures[method] -= 1
            raise Unavailable(method=method, message="the test says so")

    def _found(self, container_id: ContainerID) -> ContainerStatus:
        if container_id not in self.containers:
            raise NotFound(method="container", message=container_id)
        return self.containers[container_id]

    def _set(self, container_id: ContainerID, **fields: object) -> None:
        old = self.containers[container_id]
        self.containers[container_id] = dataclasses.replace(old, **fields)  # type: ignore[arg-type]

    def _now_ns(self) -> int:
        return int(self.now_s() * 1_000_000_000)
