"""What of the machine and the configuration decides how pods are run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.images.image_settings import ImageSettings
from edge_runtime.logs.log_rotation import LogRotationPolicy
from edge_runtime.objects.cgroup_names import container_cgroup, pod_cgroup_parent, qos_cgroup
from edge_runtime.objects.qos import QOSClass
from edge_runtime.policy.edge_policy import FORBIDS_NOTHING, EdgePolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.admission.admission_rules import AdmissionSettings
    from edge_runtime.eviction.eviction_manager import EvictionSettings
    from edge_runtime.machine.cgroups import PodCgroups
    from edge_runtime.objects.cgroup_names import CgroupDriver
    from edge_runtime.objects.pod import PodUID
    from edge_runtime.objects.runtime_config import DnsConfig
    from edge_runtime.runtime.cri_resources import MachineResources


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSettings:
    """Settings of all pods of this machine.

    Attributes:
        pods_dir: Root of the pods' own folders, one by UID: hosts file, termination messages.
        pod_logs_dir: Root of the pods' log folders.
        container_logs_dir: Folder of links to the containers' logs.
        cgroup_root: Below which pods get their cgroups.
        cgroup_driver: The runtime's own where it tells, else the configured one.
        cgroups: Makes and removes them.
        cluster_dns: Name servers of pods with dnsPolicy ClusterFirst.
        machine: What its kernel can do.
        host_ips: Returns the machine's own addresses now, the primary one first.
        host_dns: Returns the machine's own resolv.conf now; may read the file, and raise OSError.
        admission: What new pods are held against.
        eviction: When pods are ended to keep the machine alive.
        seccomp_dir: Folder that Localhost seccomp profiles are relative to.
        pod_pids_limit: Processes and threads of one pod, None for no limit.
        max_pods: How many pods there are at most.
        runtime_name: Scheme of container ids, ``containerd``.
        policy: Which pods are never run here.
        images: How images are pulled, shared and removed.
        log_rotation: When logs are put aside.
    """

    pods_dir: Path
    pod_logs_dir: Path
    container_logs_dir: Path
    cgroup_root: str
    cgroup_driver: CgroupDriver
    cgroups: PodCgroups
    cluster_dns: tuple[str, ...]
    cluster_domain: str
    machine: MachineResources
    host_ips: Callable[[], tuple[str, ...]]
    host_dns: Callable[[], DnsConfig]
    admission: AdmissionSettings
    eviction: EvictionSettings
    seccomp_dir: Path = Path("/var/lib/edgelet/seccomp")
    pod_pids_limit: int | None = None
    max_pods: int = 110
    runtime_name: str = "containerd"
    policy: EdgePolicy = FORBIDS_NOTHING
    images: ImageSettings = field(default_factory=ImageSettings)
    log_rotation: LogRotationPolicy = field(default_factory=LogRotationPolicy)

    def cgroup_parent(self, uid: PodUID, qos: QOSClass) -> str:
        """Return the cgroup of a pod of that class."""
        return pod_cgroup_parent(uid, qos, cgroup_root=self.cgroup_root, driver=self.cgroup_driver)

    def container_cgroup(self, parent: str, container_id: str) -> str:
        """Return the cgroup of a container or sandbox of the pod that has the cgroup ``parent``."""
        return container_cgroup(
            parent, container_id, driver=self.cgroup_driver, runtime_name=self.runtime_name
        )

    @property
    def pods_cgroup(self) -> str:
        """The cgroup of all pods."""
        return qos_cgroup(
            QOSClass.GUARANTEED, cgroup_root=self.cgroup_root, driver=self.cgroup_driver
        )
