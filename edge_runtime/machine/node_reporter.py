"""NodeReporter: what the machine is and how it does, as the NodeReport of the sync stream."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edge_runtime.machine.conditions import (
    Pressure,
    disk_pressure,
    memory_pressure,
    node_conditions,
    pid_pressure,
    runtime_problems,
)
from edge_runtime.machine.machine_info import (
    allocatable,
    capacity,
    host_addresses,
    nearest_folder,
    read_machine_info,
)
from edge_runtime.machine.usage import MachineUsage, measure_usage
from edge_runtime.runtime.errors import RuntimeServiceError
from tunnel.sync import NodeReport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from edge_runtime.machine.machine_info import MachineInfo
    from edge_runtime.objects.runtime_info import RuntimeImage, RuntimeStatus, RuntimeVersion
    from edge_runtime.objects.runtime_stats import ImageFsInfo

Json = dict[str, Any]

# Source: KubeletConfiguration nodeStatusUpdateFrequency.
REPORT_PERIOD_S = 10.0
# For all that a report asks of the runtime.
RUNTIME_TIMEOUT_S = 5.0
# Source: KubeletConfiguration nodeStatusMaxImages; kubernetes pkg/kubelet/nodestatus/setters.go
# ``MaxNamesPerImageInNodeStatus``.
MAX_IMAGES = 50
MAX_NAMES_PER_IMAGE = 5

logger = logging.getLogger(__name__)


class ReportedRuntime(Protocol):
    """What of the runtime a report tells (runtime/cri_client.py)."""

    async def version(self) -> RuntimeVersion:
        """Return name and version."""
        ...

    async def status(self) -> RuntimeStatus:
        """Return whether runtime and network are ready."""
        ...

    async def list_images(self) -> Sequence[RuntimeImage]:
        """Return all images."""
        ...

    async def image_fs_info(self) -> ImageFsInfo:
        """Return where images are."""
        ...


class NodeReporter:
    """Measures the machine and its runtime; one per process."""

    def __init__(
        self,
        runtime: ReportedRuntime,
        *,
        root_dir: str,
        max_pods: int,
        kubelet_version: str,
        host_ips: Callable[[], tuple[str, ...]] = host_addresses,
        relist_problem: Callable[[], str | None] = lambda: None,
        report_period_s: float = REPORT_PERIOD_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is measured before the first report.

        Args:
            runtime: The container runtime.
            root_dir: Edgelet's root folder.
            max_pods: How many pods the node takes.
            kubelet_version: What the Node shows as its kubelet's version, ``v1.36.3``.
            host_ips: Returns the machine's own addresses.
            relist_problem: Returns why the node is not ready although the runtime says it is.
            report_period_s: How often to look for changes.
            monotonic: Clock of the conditions, seconds.
        """
        self._runtime = runtime
        self._root_dir = root_dir
        self._max_pods = max_pods
        self._kubelet_version = kubelet_version
        self._host_ips = host_ips
        self._relist_problem = relist_problem
        self._report_period_s = report_period_s
        self._monotonic = monotonic
        self._machine: MachineInfo | None = None
        self._version: RuntimeVersion | None = None
        self._status: RuntimeStatus | None = None
        self._images: tuple[RuntimeImage, ...] = ()
        self._image_dir: Path | None = None
        self._ready_at: float | None = None
        self._problem: str | None = None
        self._memory, self._disk, self._pid = Pressure(), Pressure(), Pressure()

    async def report(self) -> NodeReport:
        """Measure now; a runtime that does not answer is a condition, not an error.

        Raises:
            OSError: The machine's own files cannot be read.
        """
        await self._ask_runtime()
        machine, usage = await asyncio.to_thread(self._measure)
        now = self._monotonic()
        conditions = node_conditions(
            memory=self._memory.observe(is_short=memory_pressure(usage), now=now),
            disk=self._disk.observe(is_short=disk_pressure(usage), now=now),
            pid=self._pid.observe(is_short=pid_pressure(usage), now=now),
            problems=self._problems(now),
        )
        return NodeReport(
            capacity=capacity(machine, max_pods=self._max_pods),
            allocatable=allocatable(machine, max_pods=self._max_pods),
            conditions=conditions,
            node_info=self._node_info(machine),
            runtime_handlers=_runtime_handlers(self._status),
            features=_features(self._status),
            images=node_images(self._images),
            host_addresses=list(self._host_ips()),
        )

    async def changes(self) -> AsyncGenerator[NodeReport, None]:
        """Yield a report whenever it differs from the one before, looked at every report period.

        The first one comes at once.
        """
        last: NodeReport | None = None
        while True:
            current = await self.report()
            if current != last:
                yield current
                last = current
            await asyncio.sleep(self._report_period_s)

    def _problems(self, now: float) -> list[str]:
        seen_ago_s = None if self._ready_at is None else now - self._ready_at
        problems = runtime_problems(self._status, seen_ago_s=seen_ago_s)
        relist = self._relist_problem()
        return problems if relist is None else [*problems, relist]

    async def _ask_runtime(self) -> None:
        try:
            # A runtime that hangs must not keep the first report, and with it the sync stream.
            async with asyncio.timeout(RUNTIME_TIMEOUT_S):
                self._status = await self._runtime.status()
                self._version = await self._runtime.version()
                self._images = tuple(await self._runtime.list_images())
                filesystems = (await self._runtime.image_fs_info()).image_filesystems
        except (RuntimeServiceError, TimeoutError) as exc:
            self._note_problem(str(exc) or f"no answer within {RUNTIME_TIMEOUT_S:g} s")
            return
        self._note_problem(None)
        self._image_dir = Path(filesystems[0].mountpoint) if filesystems else None
        ready = self._status.condition("RuntimeReady")
        if ready is not None and ready.status:
            self._ready_at = self._monotonic()

    def _note_problem(self, problem: str | None) -> None:
        # Once per change, not with every report.
        if problem is not None and problem != self._problem:
            logger.warning("the container runtime does not answer", extra={"reason": problem})
        self._problem = problem

    def _measure(self) -> tuple[MachineInfo, MachineUsage]:
        if self._machine is None:
            self._machine = read_machine_info(self._root_dir)
        # Before the first image the runtime's folder need not be there yet.
        image_dir = self._image_dir
        if image_dir is not None and not image_dir.is_dir():
            image_dir = nearest_folder(str(image_dir))
        return self._machine, measure_usage(nearest_folder(self._root_dir), image_dir=image_dir)

    def _node_info(self, machine: MachineInfo) -> Json:
        version = self._version
        node_info: Json = {
            "machineID": machine.machine_id,
            "systemUUID": machine.system_uuid,
            "bootID": machine.boot_id,
            "kernelVersion": machine.kernel_version,
            "osImage": machine.os_image,
            "containerRuntimeVersion": f"{version.name}://{version.version}" if version else "",
            "kubeletVersion": self._kubelet_version,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": machine.architecture,
        }
        if machine.swap_bytes:
            node_info["swap"] = {"capacity": machine.swap_bytes}
        return node_info


def node_images(images: Sequence[RuntimeImage]) -> list[Json]:
    """Return the Node's ``status.images``: the largest first, at most MAX_IMAGES.

    Source: kubernetes pkg/kubelet/nodestatus/setters.go ``Images``.
    """
    largest = sorted(images, key=lambda image: (-image.size_bytes, image.id))[:MAX_IMAGES]
    return [
        {
            "names": [*image.repo_digests, *image.repo_tags][:MAX_NAMES_PER_IMAGE],
            "sizeBytes": image.size_bytes,
        }
        for image in largest
    ]


def _runtime_handlers(status: RuntimeStatus | None) -> list[Json]:
    if status is None:
        return []
    return [
        {
            "name": handler.name,
            "features": {
                "recursiveReadOnlyMounts": handler.recursive_read_only_mounts,
                "userNamespaces": handler.user_namespaces,
            },
        }
        for handler in sorted(status.handlers, key=lambda each: each.name)
    ]


def _features(status: RuntimeStatus | None) -> Json:
    if status is None or status.supplemental_groups_policy is None:
        return {}
    return {"supplementalGroupsPolicy": status.supplemental_groups_policy}
