"""NodeReporter: what the machine is and how it does, as the NodeReport of the sync stream."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Protocol

from edge_runtime.machine.conditions import node_conditions, runtime_problems
from edge_runtime.machine.machine_info import (
    allocatable,
    capacity,
    host_addresses,
    read_machine_info,
)
from edge_runtime.runtime.errors import RuntimeServiceError
from tunnel.sync import NodeReport

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
    from fractions import Fraction

    from edge_runtime.machine.machine_info import MachineInfo
    from edge_runtime.objects.eviction_thresholds import Threshold
    from edge_runtime.objects.runtime_info import RuntimeImage, RuntimeStatus, RuntimeVersion

Json = dict[str, Any]

# Source: KubeletConfiguration nodeStatusUpdateFrequency.
REPORT_PERIOD_S = 10.0
# For all that a report asks of the runtime.
RUNTIME_TIMEOUT_S = 5.0
# Source: KubeletConfiguration nodeStatusMaxImages; kubernetes pkg/kubelet/nodestatus/setters.go
# ``MaxNamesPerImageInNodeStatus``.
MAX_IMAGES = 50
MAX_NAMES_PER_IMAGE = 5
# What pods may ask of a node of this version; the scheduler takes only nodes that declare it.
# Source: kubernetes staging/src/k8s.io/component-helpers/nodedeclaredfeatures/features/registry.go.
DECLARED_FEATURES = ("RestartAllContainersOnContainerExits",)

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


class NodeReporter:
    """Measures the machine and its runtime; one per process."""

    def __init__(
        self,
        runtime: ReportedRuntime,
        *,
        root_dir: str,
        max_pods: int,
        kubelet_version: str,
        reserved: Mapping[str, Fraction] | None = None,
        thresholds: tuple[Threshold, ...] = (),
        pressures: Callable[[], Collection[str]] = tuple,
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
            reserved: What pods cannot have, in units and bytes.
            thresholds: Those of eviction.
            pressures: Returns the types of the pressure conditions that are true.
            host_ips: Returns the machine's own addresses.
            relist_problem: Returns why the node is not ready although the runtime says it is.
            report_period_s: How often to look for changes.
            monotonic: Clock of the conditions, seconds.
        """
        self._runtime = runtime
        self._root_dir = root_dir
        self._max_pods = max_pods
        self._kubelet_version = kubelet_version
        self._reserved = reserved or {}
        self._thresholds = thresholds
        self._pressures = pressures
        self._host_ips = host_ips
        self._relist_problem = relist_problem
        self._report_period_s = report_period_s
        self._monotonic = monotonic
        self._machine: MachineInfo | None = None
        self._version: RuntimeVersion | None = None
        self._status: RuntimeStatus | None = None
        self._images: tuple[RuntimeImage, ...] = ()
        self._ready_at: float | None = None
        self._problem: str | None = None

    async def report(self) -> NodeReport:
        """Measure now; a runtime that does not answer is a condition, not an error.

        Raises:
            OSError: The machine's own files cannot be read.
        """
        await self._ask_runtime()
        machine = await self._read_machine()
        conditions = node_conditions(self._pressures(), problems=self._problems(self._monotonic()))
        return NodeReport(
            capacity=capacity(machine, max_pods=self._max_pods),
            allocatable=allocatable(
                machine,
                max_pods=self._max_pods,
                reserved=self._reserved,
                thresholds=self._thresholds,
            ),
            conditions=conditions,
            node_info=self._node_info(machine),
            runtime_handlers=_runtime_handlers(self._status),
            features=_features(self._status),
            declared_features=[*DECLARED_FEATURES],
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
        except (RuntimeServiceError, TimeoutError) as exc:
            self._note_problem(str(exc) or f"no answer within {RUNTIME_TIMEOUT_S:g} s")
            return
        self._note_problem(None)
        ready = self._status.condition("RuntimeReady")
        if ready is not None and ready.status:
            self._ready_at = self._monotonic()

    def _note_problem(self, problem: str | None) -> None:
        # Once per change, not with every report.
        if problem is not None and problem != self._problem:
            logger.warning("the container runtime does not answer", extra={"reason": problem})
        self._problem = problem

    async def _read_machine(self) -> MachineInfo:
        if self._machine is None:
            self._machine = await asyncio.to_thread(read_machine_info, self._root_dir)
        return self._machine

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
