"""``/pods`` and ``/runningpods/``: what is desired, and what the runtime has.

Source: kubernetes pkg/kubelet/server/server.go ``getPods``, ``getRunningPods``;
pkg/kubelet/container/runtime.go ``ToAPIPod``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from edge_runtime.api.request import JSON, respond_bytes
from edge_runtime.api.targets import RuntimeInventory, runtime_errors
from edge_runtime.objects.runtime_status import ContainerState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.api.container_logs import NewestStatuses
    from edge_runtime.api.request import ApiRequest
    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import Pod, PodUID
    from tunnel.stream import Stream


class PodLister(Protocol):
    """The desired pods (pods/pod_manager.py)."""

    def list(self) -> Iterable[Pod]:
        """Return all pods that are known, those that end included."""
        ...


class PodsHandler:
    """Answers ``/pods`` and ``/runningpods/`` with a v1 PodList."""

    def __init__(
        self, *, pods: PodLister, statuses: NewestStatuses, runtime: RuntimeInventory
    ) -> None:
        self._pods = pods
        self._statuses = statuses
        self._runtime = runtime

    async def handle_pods(self, _request: ApiRequest, stream: Stream) -> None:
        """List the desired pods with their newest statuses.

        Raises:
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        items = []
        for pod in self._pods.list():
            status = self._statuses.get(pod.uid)
            items.append(pod.raw if status is None else {**pod.raw, "status": status})
        await _respond_list(stream, items)

    async def handle_running_pods(self, _request: ApiRequest, stream: Stream) -> None:
        """List the pods that the runtime has running, with names and images only.

        Raises:
            ApiError: The runtime does not answer.
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        with runtime_errors():
            sandboxes = await self._runtime.list_pod_sandboxes()
            containers = await self._runtime.list_containers()
        pods: dict[PodUID, Json] = {}
        for sandbox in sandboxes:
            if sandbox.is_ready:
                metadata = {
                    "name": sandbox.pod_name,
                    "namespace": sandbox.pod_namespace,
                    "uid": sandbox.pod_uid,
                    "creationTimestamp": None,
                }
                pods[sandbox.pod_uid] = {
                    "metadata": metadata,
                    "spec": {"containers": []},
                    "status": {},
                }
        for container in containers:
            if container.state is ContainerState.RUNNING and container.pod_uid in pods:
                pods[container.pod_uid]["spec"]["containers"].append(
                    {"name": container.name, "image": container.image, "resources": {}}
                )
        await _respond_list(stream, pods.values())


async def _respond_list(stream: Stream, items: Iterable[Json]) -> None:
    pod_list = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": list(items)}
    await respond_bytes(stream, msgspec.json.encode(pod_list), content_type=JSON)
