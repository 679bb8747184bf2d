"""What the runtime is asked for when it is to create a container.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go ``generateContainerConfig``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_runtime.images.image_manager import ImageError
from edge_runtime.objects.quantity import QuantityError
from edge_runtime.pods.container_mounts import MountProblem
from edge_runtime.pods.environment import EnvironmentProblem, check_words
from edge_runtime.runtime.cri_config import container_config
from edge_runtime.runtime.cri_security import SecurityConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.container import Container, ContainerID
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.runtime_config import (
        ContainerConfig,
        Mount,
        ResolvedImage,
        SandboxConfig,
    )
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pods.pod_settings import PodSettings

# What is wrong with a container before the runtime is asked for it.
_CONFIG_ERRORS = (EnvironmentProblem, MountProblem, SecurityConfigError, QuantityError, OSError)
CREATE_CONTAINER_CONFIG_ERROR = "CreateContainerConfigError"


class Environments(Protocol):
    """What makes the environments of containers (pods/container_environment.py)."""

    async def of(self, pod: Pod, container: Container, *, ips: tuple[str, ...]) -> dict[str, str]:
        """Return a container's whole environment; raises EnvironmentProblem."""
        ...


class Mounts(Protocol):
    """What the edge mounts into containers (pods/pod_mounts.py)."""

    async def mounts(
        self, pod: Pod, container: Container, *, attempt: int, ips: tuple[str, ...]
    ) -> tuple[Mount, ...]:
        """Make what is to be mounted, and return the mounts; raises OSError."""
        ...


class VolumeMounts(Protocol):
    """What containers mount of their pods' volumes (pods/container_mounts.py)."""

    async def mounts(
        self, pod: Pod, container: Container, *, env: Mapping[str, str], sandbox: SandboxConfig
    ) -> tuple[Mount, ...]:
        """Return the mounts.

        Raises MountProblem, ImageError, StoreError.
        """
        ...


class StartError(Exception):
    """A container could not be started.

    Attributes:
        reason: Waiting reason of the API.
        message: What went wrong, in the runtime's words.
        container_id: What was created nevertheless.
    """

    def __init__(
        self, *, reason: str, message: str, container_id: ContainerID | None = None
    ) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message
        self.container_id = container_id

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class ContainerConfiguration:
    """Puts together what a container is created with; holds nothing of any single one."""

    def __init__(
        self,
        *,
        cache: PodCache,
        environments: Environments,
        mounts: Mounts,
        volumes: VolumeMounts,
        settings: PodSettings,
    ) -> None:
        self._cache = cache
        self._environments = environments
        self._mounts = mounts
        self._volumes = volumes
        self._settings = settings

    async def of(
        self,
        pod: Pod,
        container: Container,
        *,
        attempt: int,
        image: ResolvedImage,
        sandbox: SandboxConfig,
    ) -> ContainerConfig:
        """Return what to ask the runtime for.

        Waits for objects and Services that were not told of yet. Cancelling leaves files that the
        pod's end removes.

        Raises:
            StartError: A reference, a volume, an address or the security context of the
                container stands against it.
            StoreError: What a volume is made of cannot be kept.
        """
        ips = self.ips(pod)
        try:
            env = await self._environments.of(pod, container, ips=ips)
            volumes = await self._volumes.mounts(pod, container, env=env, sandbox=sandbox)
            own = await self._mounts.mounts(pod, container, attempt=attempt, ips=ips)
            config = container_config(
                pod,
                container,
                restart_count=attempt,
                image=image,
                env=env,
                machine=self._settings.machine,
                mounts=(*volumes, *own),
                seccomp_profile_root=str(self._settings.seccomp_dir),
                users=sandbox.security.namespaces.users,
                target_id=self._target_id(pod, container),
            )
            check_words((*config.command, *config.args))
        except ImageError as exc:
            raise StartError(reason=exc.reason, message=exc.message) from exc
        except _CONFIG_ERRORS as exc:
            reason = CREATE_CONTAINER_CONFIG_ERROR
            raise StartError(reason=reason, message=str(exc)) from exc
        return config

    def ips(self, pod: Pod) -> tuple[str, ...]:
        """Return a pod's addresses, as its containers and hooks may know them."""
        return self._settings.host_ips() if pod.host_network else self._cache.get(pod.uid).ips

    def _target_id(self, pod: Pod, container: Container) -> str:
        """Return whose processes an ephemeral container is to see, "" for its own alone.

        Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go ``getTargetID``.
        """
        name = container.target_container_name
        if not name:
            return ""
        target = self._cache.get(pod.uid).latest(name)
        if target is None:
            raise StartError(
                reason=CREATE_CONTAINER_CONFIG_ERROR,
                message=f"unable to find target container {name}",
            )
        return target.id
