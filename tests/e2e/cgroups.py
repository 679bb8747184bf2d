"""A pod's control groups, as the kernel shows them on either version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster
    from tests.e2e.pods import Json

MOUNT = Path("/sys/fs/cgroup")
IS_UNIFIED = (MOUNT / "cgroup.controllers").exists()
_QOS_FOLDER = {"Guaranteed": "", "Burstable": "burstable/", "BestEffort": "besteffort/"}


class Group:
    """One control group."""

    def __init__(self, path: str) -> None:
        self._path = path.strip("/")

    def folder(self, controller: str) -> Path:
        """Return its folder for a controller."""
        return MOUNT / self._path if IS_UNIFIED else MOUNT / controller / self._path

    @property
    def exists(self) -> bool:
        """Whether the kernel has it."""
        return self.folder("cpu").is_dir()

    @property
    def inner(self) -> list[Group]:
        """The groups in it."""
        folders = [each for each in self.folder("cpu").iterdir() if each.is_dir()]
        return [Group(f"{self._path}/{each.name}") for each in folders]

    @property
    def cpu_shares(self) -> int:
        """Weight on version 1's scale, within what the conversion loses."""
        if not IS_UNIFIED:
            return int((self.folder("cpu") / "cpu.shares").read_text())
        weight = int((self.folder("cpu") / "cpu.weight").read_text())
        return 2 + (weight - 1) * 262_142 // 9999

    @property
    def cpu_quota_us(self) -> int | None:
        """Microseconds in 100 ms, None without a limit."""
        if IS_UNIFIED:
            quota = (self.folder("cpu") / "cpu.max").read_text().split()[0]
            return None if quota == "max" else int(quota)
        quota_us = int((self.folder("cpu") / "cpu.cfs_quota_us").read_text())
        return None if quota_us < 0 else quota_us

    @property
    def cpu_usage_s(self) -> float:
        """Seconds of processor time that it has used since it was made."""
        if not IS_UNIFIED:
            return int((self.folder("cpuacct") / "cpuacct.usage").read_text()) / 1e9
        stat = (self.folder("cpu") / "cpu.stat").read_text().split()
        return int(stat[stat.index("usage_usec") + 1]) / 1e6

    @property
    def memory_bytes(self) -> int | None:
        """Limit, None without one."""
        name = "memory.max" if IS_UNIFIED else "memory.limit_in_bytes"
        text = (self.folder("memory") / name).read_text().strip()
        # Version 1 shows the largest whole number of pages for no limit.
        return None if text == "max" or int(text) > 1 << 60 else int(text)

    @property
    def pids(self) -> int | None:
        """How many processes and threads, None without a limit."""
        text = (self.folder("pids") / "pids.max").read_text().strip()
        return None if text == "max" else int(text)


def class_group(cluster: Cluster, qos: str) -> Group:
    """Return the group of a class of pods; that of Guaranteed ones holds the others."""
    root = cluster.environment["DEVCLUSTER_CGROUP_ROOT"]
    return Group(f"{root}/kubepods/{_QOS_FOLDER[qos]}")


def pod_group(cluster: Cluster, pod: Json) -> Group:
    """Return a pod's own group, by the class that its status shows."""
    root = cluster.environment["DEVCLUSTER_CGROUP_ROOT"]
    folder = _QOS_FOLDER[pod["status"]["qosClass"]]
    return Group(f"{root}/kubepods/{folder}pod{pod['metadata']['uid']}")
