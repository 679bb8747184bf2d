"""What an edge asks its runtime and its machine once, before it does anything."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_runtime.admission.admission_rules import AdmissionSettings
from edge_runtime.eviction.eviction_manager import EvictionSettings
from edge_runtime.images.image_eviction import ImageGCPolicy
from edge_runtime.images.image_settings import ImageSettings
from edge_runtime.images.pull_verification import Verification, VerificationPolicy
from edge_runtime.logs.log_rotation import LogRotationPolicy
from edge_runtime.machine.apparmor import apparmor_problem
from edge_runtime.machine.cgroups import CGROUP_MOUNT, PodCgroups, read_machine_resources
from edge_runtime.machine.machine_info import HostAddresses, allocatable, read_machine_info
from edge_runtime.machine.oom_score import lower_own_score
from edge_runtime.machine.systemd_slices import SystemdSlices, is_systemd_running
from edge_runtime.objects.cgroup_names import CgroupDriver
from edge_runtime.objects.pod_resources import parse_resources
from edge_runtime.objects.sysctls import sysctl_allowlist
from edge_runtime.pod_network.dns_config import parse_resolv_conf
from edge_runtime.pods.pod_settings import PodSettings
from edge_runtime.policy.edge_policy import policy_of
from edge_runtime.runtime.errors import RuntimeServiceError, Unimplemented

if TYPE_CHECKING:
    from edge_runtime.config import EdgeConfig
    from edge_runtime.machine.machine_info import MachineInfo
    from edge_runtime.objects.runtime_info import RuntimeStatus, RuntimeVersion

# At boot a runtime takes up what was there before, for tenths of a second: all pods wait for it.
FIRST_RETRY_S = 0.05
MAX_RETRY_S = 1.0
# Below the root directory, as a kubelet has them.
PODS_FOLDER = "pods"
SECCOMP_FOLDER = "seccomp"

logger = logging.getLogger(__name__)


class NoSystemd(Exception):
    """Nobody here makes control groups as runtime or configuration ask for; one sentence."""


class AskedRuntime(Protocol):
    """What is asked (runtime/cri_client.py); every method raises RuntimeServiceError."""

    async def version(self) -> RuntimeVersion:
        """Return name and version."""
        ...

    async def cgroup_driver(self) -> CgroupDriver:
        """Return its cgroup driver; Unimplemented where it does not tell."""
        ...

    async def status(self) -> RuntimeStatus:
        """Return what it can do."""
        ...


async def ask_pod_settings(
    config: EdgeConfig, runtime: AskedRuntime, *, cgroup_mount: Path = CGROUP_MOUNT
) -> tuple[MachineInfo, PodSettings]:
    """Ask for what does not change while the process runs; wait for a runtime that starts.

    A guess would put pods into cgroups of the wrong driver. Cancelling is safe.

    Args:
        config: The edge's configuration.
        runtime: Who is asked.
        cgroup_mount: Where control groups are mounted.

    Raises:
        NoSystemd: The cgroup driver is systemd's, but systemd does not run here.
        OSError: A file that every Linux has cannot be read.
    """
    name, driver, features = await _ask_runtime(config, runtime)
    slices = SystemdSlices() if driver is CgroupDriver.SYSTEMD else None
    if slices is not None and not is_systemd_running():
        # No pod could ever start: as a kubelet, say so before the machine looks like a ready Node.
        raise NoSystemd(
            "cgroupDriver is systemd, but systemd does not run on this machine: set cgroupfs, here"
            " and in the container runtime"
        )
    machine = await asyncio.to_thread(read_machine_info, config.root_directory)
    resources = await asyncio.to_thread(
        read_machine_resources,
        machine,
        mount=cgroup_mount,
        min_oom_score_adj=lower_own_score(config.oom_score_adj),
    )
    resolv_conf = Path(config.resolv_conf)
    return machine, PodSettings(
        pods_dir=Path(config.root_directory) / PODS_FOLDER,
        pod_logs_dir=Path(config.pod_logs_dir),
        container_logs_dir=Path(config.container_logs_dir),
        cgroup_root=config.cgroup_root,
        cgroup_driver=driver,
        cgroups=PodCgroups(driver=driver, mount=cgroup_mount, slices=slices),
        cluster_dns=config.cluster_dns,
        cluster_domain=config.cluster_domain,
        machine=resources,
        host_ips=HostAddresses(),
        host_dns=lambda: parse_resolv_conf(resolv_conf.read_text()),
        seccomp_dir=Path(config.root_directory) / SECCOMP_FOLDER,
        pod_pids_limit=config.pod_pids_limit if config.pod_pids_limit > 0 else None,
        max_pods=config.max_pods,
        runtime_name=name,
        admission=_admission_settings(config, machine, features),
        eviction=EvictionSettings(
            thresholds=config.thresholds,
            transition_s=config.eviction_pressure_transition_period_s,
            max_pod_grace_period_s=config.eviction_max_pod_grace_period,
        ),
        policy=policy_of(config.policy),
        images=_image_settings(config),
        log_rotation=LogRotationPolicy(
            max_bytes=config.container_log_max_bytes,
            max_files=config.container_log_max_files,
            period_s=config.container_log_monitor_interval_s,
        ),
    )


def _admission_settings(
    config: EdgeConfig, machine: MachineInfo, features: RuntimeStatus
) -> AdmissionSettings:
    can_have = allocatable(
        machine,
        max_pods=config.max_pods,
        reserved=config.reserved,
        thresholds=config.thresholds,
    )
    return AdmissionSettings(
        allocatable=parse_resources(can_have),
        sysctls=sysctl_allowlist(
            kernel_version=machine.kernel_version, unsafe=config.allowed_unsafe_sysctls
        ),
        architecture=machine.architecture,
        supplemental_groups_policy=bool(features.supplemental_groups_policy),
        apparmor_problem=apparmor_problem(),
    )


def _image_settings(config: EdgeConfig) -> ImageSettings:
    return ImageSettings(
        max_parallel_pulls=1 if config.serialize_image_pulls else config.max_parallel_image_pulls,
        verification=Verification(
            policy=VerificationPolicy(config.image_pull_credentials_verification_policy),
            allowlist=config.preloaded_images_verification_allowlist,
        ),
        gc=ImageGCPolicy(
            high_percent=config.image_gc_high_threshold_percent,
            low_percent=config.image_gc_low_threshold_percent,
            min_age_s=config.image_minimum_gc_age_s,
            max_age_s=config.image_maximum_gc_age_s,
        ),
    )


async def _ask_runtime(
    config: EdgeConfig, runtime: AskedRuntime
) -> tuple[str, CgroupDriver, RuntimeStatus]:
    last_problem: str | None = None
    retry_s = FIRST_RETRY_S
    while True:
        try:
            name, status = (await runtime.version()).name, await runtime.status()
            try:
                return name, await runtime.cgroup_driver(), status
            except Unimplemented:
                return name, CgroupDriver(config.cgroup_driver), status
        except RuntimeServiceError as exc:
            if str(exc) != last_problem:
                last_problem = str(exc)
                logger.warning("waiting for the container runtime", extra={"reason": str(exc)})
        await asyncio.sleep(retry_s)
        retry_s = min(2 * retry_s, MAX_RETRY_S)
