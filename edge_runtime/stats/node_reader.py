"""NodeReader: the kernel's figures of machine, pods and containers; blocks on the kernel only.

What vanishes while it is read is left out; all else is told.
"""

from __future__ import annotations

import dataclasses
import os
import time
from typing import TYPE_CHECKING

from edge_runtime.objects.node_stats import (
    GroupStats,
    NodeStats,
    SystemContainer,
    TaskCounts,
)
from edge_runtime.stats.node_details import ContainerDetails, NodeDetails, PodDetails

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge_runtime.objects.node_stats import ContainerFigures, NetworkStats, PodFigures
    from edge_runtime.stats.cgroup_reader import CgroupReader
    from edge_runtime.stats.group_stats_reader import GroupStatsReader
    from edge_runtime.stats.machine_reader import MachineReader
    from edge_runtime.stats.network_reader import NetworkReader


class NodeReader:
    """Reads everything that is the kernel's to tell."""

    def __init__(
        self,
        *,
        groups: GroupStatsReader,
        cgroups: CgroupReader,
        machine: MachineReader,
        networks: NetworkReader,
        pods_group: str,
        node_name: Callable[[], str],
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            groups: Reads what control groups use.
            cgroups: Reads what else they count.
            machine: Reads what only the machine as a whole has.
            networks: Reads interfaces.
            pods_group: The control group that all pods are in.
            node_name: Returns the Node's name, "" before it is known.
        """
        self._groups = groups
        self._cgroups = cgroups
        self._machine = machine
        self._networks = networks
        self._pods_group = pods_group
        self._node_name = node_name

    def use(self, pods: Iterable[PodFigures]) -> NodeStats:
        """Return processors, memory and swap.

        Raises:
            OSError: The kernel refuses.
        """
        booted_at_ns = self._machine.boot_time_ns()
        machine = self._groups.read_machine(self._machine.memory(), self._machine.pressure())
        all_pods = self._groups.read(self._pods_group)
        stats = NodeStats(
            node_name=self._node_name(),
            started_at_ns=booted_at_ns,
            use=machine,
            system_containers=()
            if all_pods == GroupStats()
            else (SystemContainer(name="pods", started_at_ns=booted_at_ns, use=all_pods),),
            pods=tuple(self._use_of_pod(pod) for pod in pods),
        )
        self._groups.end_round()
        return stats

    def details(self, pods: Iterable[PodFigures]) -> NodeDetails:
        """Return networks, disks, throttling and tasks.

        Raises:
            OSError: The kernel refuses.
        """
        tasks, memory = self._machine.tasks(), self._machine.memory()
        found = {pod.uid: self._details_of_pod(pod) for pod in pods}
        return NodeDetails(
            cpus=os.cpu_count() or 1,
            memory_bytes=memory.total_bytes,
            swap_bytes=memory.swap_total_bytes,
            network=self._networks.read(),
            tasks=TaskCounts(timestamp_ns=time.time_ns(), running=tasks.running, limit=tasks.limit),
            pods=found,
            disk_names=self._disk_names(found.values()),
        )

    def _use_of_pod(self, pod: PodFigures) -> PodFigures:
        return dataclasses.replace(
            pod,
            use=self._groups.read(pod.group),
            containers=tuple(
                dataclasses.replace(each, use=self._groups.read(each.group))
                for each in pod.containers
            ),
        )

    def _details_of_pod(self, pod: PodFigures) -> PodDetails:
        containers = {each.id: self._details_of_container(each) for each in pod.containers}
        return PodDetails(
            network=self._network(pod),
            processes=sum(each.processes for each in containers.values()),
            containers=containers,
        )

    def _details_of_container(self, container: ContainerFigures) -> ContainerDetails:
        cgroups, group = self._cgroups, container.group
        return ContainerDetails(
            timestamp_ns=time.time_ns(),
            cpu=cgroups.cpu(group),
            limits=cgroups.cpu_limits(group),
            memory=cgroups.memory(group, detailed=True),
            disks=cgroups.disks(group),
            processes=len(cgroups.processes(group)),
            tasks=cgroups.tasks(group),
        )

    def _disk_names(self, pods: Iterable[PodDetails]) -> dict[tuple[int, int], str]:
        containers = (each for pod in pods for each in pod.containers.values())
        numbers = {(disk.major, disk.minor) for each in containers for disk in each.disks}
        names = {each: self._machine.disk_name(major=each[0], minor=each[1]) for each in numbers}
        return {each: name for each, name in names.items() if name is not None}

    def _network(self, pod: PodFigures) -> NetworkStats | None:
        for pid in self._cgroups.processes(pod.sandbox_group)[:1]:
            network = self._networks.read(pid)
            # Its number may belong to another process by now, in another network.
            if pid in self._cgroups.processes(pod.sandbox_group):
                return network
        return None
