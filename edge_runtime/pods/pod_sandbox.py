"""Make a pod's sandbox: its configuration, its folders, its network.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_sandbox.go ``createPodSandbox``.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TYPE_CHECKING, Protocol

from edge_runtime.machine.cgroups import CgroupError
from edge_runtime.objects.qos import compute_qos_class
from edge_runtime.objects.quantity import QuantityError
from edge_runtime.pod_network.dns_config import compute_dns_config
from edge_runtime.pod_network.pod_hostname import HostnameError, kernel_hostname
from edge_runtime.pods.pod_files import make_log_folders
from edge_runtime.pods.sandbox_isolation import IsolationError, SandboxIsolation
from edge_runtime.runtime.cri_config import sandbox_config
from edge_runtime.runtime.cri_resources import pod_cgroup_limits
from edge_runtime.runtime.cri_security import SecurityConfigError
from edge_runtime.runtime.errors import RuntimeServiceError

if TYPE_CHECKING:
    from edge_runtime.objects.pod import Pod, SandboxID
    from edge_runtime.objects.runtime_config import DnsConfig, SandboxConfig
    from edge_runtime.objects.runtime_status import SandboxStatus
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pods.pod_events import PodEvents
    from edge_runtime.pods.pod_settings import PodSettings

logger = logging.getLogger(__name__)


class SandboxRuntime(Protocol):
    """What makes sandboxes (runtime/cri_client.py); every method raises RuntimeServiceError."""

    async def run_pod_sandbox(self, config: SandboxConfig) -> SandboxID:
        """Make a sandbox."""
        ...

    async def pod_sandbox_status(self, sandbox_id: SandboxID) -> SandboxStatus:
        """Return its status."""
        ...


class SandboxFailed(Exception):
    """No sandbox could be made; the events say so already."""


class SandboxMaker:
    """Makes sandboxes and tells the cache at once; holds nothing of any single pod."""

    def __init__(
        self,
        runtime: SandboxRuntime,
        *,
        cache: PodCache,
        events: PodEvents,
        isolation: SandboxIsolation,
        settings: PodSettings,
    ) -> None:
        self._runtime = runtime
        self._cache = cache
        self._events = events
        self._isolation = isolation
        self._settings = settings

    async def config(self, pod: Pod, *, attempt: int) -> SandboxConfig:
        """Return the sandbox to ask for, once the pod's log folders are there.

        Raises:
            SandboxFailed: The pod cannot be called, or separated, as it asks.
            RuntimeServiceError: The runtime does not tell what it can do.
            OSError: The folders cannot be made, or the machine's resolv.conf cannot be read.
        """
        settings = self._settings
        try:
            hostname = kernel_hostname(pod, settings.cluster_domain)
            isolation = await self._isolation.of(pod)
            cgroup_parent = settings.cgroup_parent(pod.uid, compute_qos_class(pod))
            config = sandbox_config(
                pod,
                attempt=attempt,
                pod_logs_dir=str(settings.pod_logs_dir),
                cgroup_parent=cgroup_parent,
                machine=settings.machine,
                hostname=hostname,
                users=isolation.users,
                runtime_handler=isolation.runtime_handler,
            )
        except (HostnameError, IsolationError, SecurityConfigError, QuantityError) as exc:
            self._events.sandbox_failed(pod, str(exc))
            raise SandboxFailed from exc
        host_dns = await asyncio.to_thread(_prepare, settings, pod)
        dns = compute_dns_config(
            pod,
            host=host_dns,
            cluster_dns=settings.cluster_dns,
            cluster_domain=settings.cluster_domain,
        )
        self._events.dns_config_formed(pod, dns.warnings)
        return dataclasses.replace(config, dns=dns.config)

    async def make(self, pod: Pod, config: SandboxConfig) -> SandboxID:
        """Make a sandbox in the pod's cgroup; when this returns the cache shows it.

        Raises:
            SandboxFailed: The kernel or the runtime could not make it.
            RuntimeServiceError: It was made, but its status cannot be read.
        """
        # Before the sandbox: the runtime would make the group itself, without the pod's limits.
        try:
            limits = pod_cgroup_limits(pod, pids=self._settings.pod_pids_limit)
            await self._settings.cgroups.ensure(config.cgroup_parent, limits)
            sandbox_id = await self._runtime.run_pod_sandbox(config)
        except CgroupError as exc:
            self._events.cgroup_failed(pod, str(exc))
            logger.warning("no cgroup", extra={"pod_uid": pod.uid, "error": str(exc)})
            raise SandboxFailed from exc
        except RuntimeServiceError as exc:
            text = f"rpc error: code = {exc.grpc_name} desc = {exc.message}"
            self._events.sandbox_failed(pod, text)
            logger.warning("no sandbox", extra={"pod_uid": pod.uid, "error": str(exc)})
            raise SandboxFailed from exc
        self._cache.put_sandbox(pod.uid, await self._runtime.pod_sandbox_status(sandbox_id))
        return sandbox_id


def _prepare(settings: PodSettings, pod: Pod) -> DnsConfig:
    """Do what blocks on the file system before a sandbox is made."""
    make_log_folders(settings, pod)
    return settings.host_dns()
