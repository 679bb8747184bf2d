"""Settings of pods whose folders are a test's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.admission.admission_rules import AdmissionSettings
from edge_runtime.eviction.eviction_manager import EvictionSettings
from edge_runtime.machine.cgroups import PodCgroups
from edge_runtime.objects.cgroup_names import CgroupDriver
from edge_runtime.objects.pod_resources import parse_resources
from edge_runtime.objects.runtime_config import DnsConfig
from edge_runtime.objects.sysctls import sysctl_allowlist
from edge_runtime.pods.pod_settings import PodSettings
from edge_runtime.runtime.cri_resources import MachineResources

if TYPE_CHECKING:
    from pathlib import Path


def make_pod_settings(folder: Path) -> PodSettings:
    """Return settings of a machine that has a name server, an address and no pods yet."""
    return PodSettings(
        pods_dir=folder / "root/pods",
        pod_logs_dir=folder / "pods",
        container_logs_dir=folder / "containers",
        cgroup_root="/edgelet-test-that-does-not-exist",
        cgroup_driver=CgroupDriver.CGROUPFS,
        # Nothing runs, so nothing needs a group of this machine's.
        cgroups=PodCgroups(driver=CgroupDriver.SYSTEMD),
        cluster_dns=("10.96.0.10",),
        cluster_domain="cluster.local",
        machine=MachineResources(memory_bytes=8 << 30, cgroup_v2=True),
        host_ips=lambda: ("192.0.2.1",),
        host_dns=DnsConfig,
        admission=AdmissionSettings(
            allocatable=parse_resources(
                {"cpu": "64", "memory": "64Gi", "ephemeral-storage": "64Gi", "pods": "110"}
            ),
            sysctls=sysctl_allowlist(kernel_version="6.1", unsafe=()),
            architecture="amd64",
        ),
        # No threshold: what a test's machine lacks must not end its pods.
        eviction=EvictionSettings(thresholds=()),
    )
