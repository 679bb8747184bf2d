"""``/attach``: join the streams of a container's first process.

Source: kubernetes pkg/kubelet/server/server.go ``getAttach``, kubelet_pods.go ``GetAttach``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_runtime.api.request import ApiError
from edge_runtime.api.stream_relay import relay_upgrade, require_upgrade
from edge_runtime.api.streams_wanted import parse_streams_wanted
from edge_runtime.api.targets import (
    PodSource,
    RuntimeInventory,
    find_pod,
    find_running_container,
    runtime_errors,
)

if TYPE_CHECKING:
    from edge_runtime.api.request import ApiRequest
    from edge_runtime.objects.container import ContainerID
    from tunnel.stream import Stream


class AttachRuntime(RuntimeInventory, Protocol):
    """What attach needs of the runtime."""

    async def attach(
        self, container_id: ContainerID, *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str:
        """Prepare the attachment and return its URL, good for one use."""
        ...


class AttachHandler:
    """Answers ``/attach/{namespace}/{pod}[/{uid}]/{container}``."""

    def __init__(self, *, pods: PodSource, runtime: AttachRuntime) -> None:
        self._pods = pods
        self._runtime = runtime

    async def handle(self, request: ApiRequest, stream: Stream) -> None:
        """Relay the container's streams until the client or the container ends them.

        Raises:
            ApiError: The request cannot be carried out.
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        wanted = parse_streams_wanted(request)
        pod = find_pod(self._pods, request)
        name = request.parameters["container"]
        container_id = await find_running_container(self._runtime, pod, name)
        spec = pod.container(name)
        if container_id is None or spec is None:
            raise ApiError(500, f"container {name} not found in pod {pod.full_name}")
        require_upgrade(request)
        # Whether there is a terminal was settled when the container was made, not by who attaches;
        # and the runtime refuses a terminal together with stderr.
        with runtime_errors():
            url = await self._runtime.attach(
                container_id,
                stdin=wanted.stdin,
                stdout=wanted.stdout,
                stderr=wanted.stderr and not spec.tty,
                tty=spec.tty,
            )
        await relay_upgrade(request, stream, url=url)
