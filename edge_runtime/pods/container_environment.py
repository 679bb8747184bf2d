"""ContainerEnvironment: a container's variables, once all that they are made of is known here.

Source: kubernetes pkg/kubelet/kubelet_pods.go ``makeEnvironmentVariables``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_runtime.objects.field_refs import FieldContext
from edge_runtime.pod_status.pod_addresses import compute_addresses
from edge_runtime.pods.environment import (
    EnvironmentProblem,
    EnvironmentSources,
    compute_environment,
)
from edge_runtime.pods.object_keys import environment_keys
from edge_runtime.pods.service_variables import compute_service_variables, service_namespaces

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_runtime.objects.container import Container, Json
    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.pods.pod_settings import PodSettings
    from edge_runtime.store.object_store import StoredObject

# The provider sends what a pod refers to with the pod. What has not come by then may be refused to
# the node for longer, or the link may be down; the pod is looked at again once it comes.
PATIENCE_S = 5.0


class Objects(Protocol):
    """What the provider told of objects (store/object_store.py)."""

    def get(self, *, kind: str, namespace: str, name: str) -> StoredObject | None:
        """Return what is known of an object, None when the provider has not told yet."""
        ...

    async def wait_known(self, keys: Collection[str], *, timeout_s: float) -> bool:
        """Wait until the provider told of all these objects; return whether it did."""
        ...


class Services(Protocol):
    """What the provider told of Services (store/service_store.py)."""

    def get(self, namespace: str) -> tuple[Json, ...] | None:
        """Return all Services of a namespace, None when the provider has not told yet."""
        ...

    async def wait_known(self, namespaces: Collection[str], *, timeout_s: float) -> bool:
        """Wait until those of all these namespaces are known; return whether they are."""
        ...


class Statuses(Protocol):
    """What was told of pods (status/status_manager.py)."""

    def get(self, uid: PodUID) -> Json | None:
        """Return a pod's status, None without one."""
        ...


class ContainerEnvironment:
    """Makes the environments of containers; holds nothing of any single one."""

    def __init__(
        self, *, objects: Objects, services: Services, statuses: Statuses, settings: PodSettings
    ) -> None:
        self._objects = objects
        self._services = services
        self._statuses = statuses
        self._settings = settings

    async def of(self, pod: Pod, container: Container, *, ips: tuple[str, ...]) -> dict[str, str]:
        """Return a container's whole environment, expanded.

        Waits at most twice PATIENCE_S for what was not told yet. Cancelling is safe.

        Args:
            pod: The pod, with what is allocated to it.
            container: One of its containers.
            ips: The pod's addresses, as the runtime has them.

        Raises:
            EnvironmentProblem: Something that it refers to is missing, or was not told yet.
        """
        return compute_environment(
            pod,
            container,
            EnvironmentSources(
                services=await self._service_variables(pod),
                objects=await self._known_objects(pod, container),
                addresses=self._addresses(pod, ips),
                allocatable=self._settings.admission.allocatable,
            ),
        )

    async def _service_variables(self, pod: Pod) -> dict[str, str]:
        names = service_namespaces(pod)
        await self._services.wait_known(names, timeout_s=PATIENCE_S)
        found: dict[str, tuple[Json, ...]] = {}
        for name in names:
            services = self._services.get(name)
            if services is None:
                raise EnvironmentProblem(
                    "services have not yet been read at least once, cannot construct envvars"
                )
            found[name] = services
        return compute_service_variables(pod, found)

    async def _known_objects(self, pod: Pod, container: Container) -> dict[str, Json]:
        keys = sorted(environment_keys(pod, container))
        await self._objects.wait_known(keys, timeout_s=PATIENCE_S)
        found: dict[str, Json] = {}
        for key in keys:
            kind, namespace, name = key.split("/", 2)
            stored = self._objects.get(kind=kind, namespace=namespace, name=name)
            if stored is None:
                # Source: kubernetes pkg/kubelet/util/manager/watch_based_manager.go ``Get``.
                raise EnvironmentProblem(
                    f"failed to sync {kind.lower()} cache: timed out waiting for the condition"
                )
            if not stored.is_missing:
                found[key] = stored.json
        return found

    def _addresses(self, pod: Pod, ips: tuple[str, ...]) -> FieldContext:
        """Return what the pod's status shows, also while the machine's link is down."""
        addresses = compute_addresses(
            pod,
            found=ips,
            before=self._statuses.get(pod.uid) or pod.status,
            host_ips=self._settings.host_ips(),
        )
        return FieldContext(
            host_ips=tuple(each["ip"] for each in addresses.get("hostIPs") or ()),
            pod_ips=tuple(each["ip"] for each in addresses.get("podIPs") or ()),
        )
