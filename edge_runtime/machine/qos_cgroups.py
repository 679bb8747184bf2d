"""Weights of the classes of pods: when processors run short, each class gets what it asked for.

Source: kubernetes pkg/kubelet/cm/qos_container_manager_linux.go, node_container_manager_linux.go.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from edge_runtime.machine.cgroups import CgroupError, PodCgroups
from edge_runtime.objects.cgroup_names import qos_cgroup
from edge_runtime.objects.qos import QOSClass
from edge_runtime.runtime.cri_resources import MIN_CPU_SHARES, burstable_cpu_shares, cpu_shares

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge_runtime.objects.cgroup_names import CgroupDriver
    from edge_runtime.objects.pod import Pod

# Source: ``periodicQOSCgroupUpdateInterval``.
UPDATE_PERIOD_S = 60.0

logger = logging.getLogger(__name__)


class QosCgroups:
    """Keeps the classes' weights true as pods come and go."""

    def __init__(
        self,
        cgroups: PodCgroups,
        *,
        root: str,
        driver: CgroupDriver,
        cpus: int,
        pods: Callable[[], Iterable[Pod]],
    ) -> None:
        """Prepare; nothing is made yet.

        Args:
            cgroups: Makes groups.
            root: Below which pods get their groups.
            driver: Who makes them.
            cpus: Processors of the machine.
            pods: Returns the pods that are not at their end.
        """
        self._cgroups = cgroups
        self._root = root
        self._driver = driver
        self._cpus = cpus
        self._pods = pods
        self._woken = asyncio.Event()
        self._written: dict[str, int] = {}
        cgroups.on_change(self._woken.set)

    async def run(self) -> None:
        """Set the weights at once, whenever a pod comes or goes, and each minute; until cancelled.

        A machine that refuses is asked again the next time, and said once.
        """
        problem = ""
        while True:
            self._woken.clear()
            try:
                await self.update()
                problem = ""
            except CgroupError as exc:
                if str(exc) != problem:
                    problem = str(exc)
                    logger.warning("no cgroups for the classes of pods", extra={"error": problem})
            try:
                async with asyncio.timeout(UPDATE_PERIOD_S):
                    await self._woken.wait()
            except TimeoutError:
                self._written.clear()  # somebody else may have changed them

    async def update(self) -> None:
        """Set those weights that changed since they were written.

        Raises:
            CgroupError: The kernel or systemd refuses.
        """
        # Parents first: a group is made with those on the way to it.
        for qos, shares in (
            (QOSClass.GUARANTEED, cpu_shares(self._cpus * 1000)),
            (QOSClass.BURSTABLE, burstable_cpu_shares(self._pods())),
            (QOSClass.BEST_EFFORT, MIN_CPU_SHARES),
        ):
            group = qos_cgroup(qos, cgroup_root=self._root, driver=self._driver)
            if self._written.get(group) != shares:
                await self._cgroups.ensure_weight(group, shares)
                self._written[group] = shares
