"""``/run``: run a command to its end and answer with its output.

Source: kubernetes pkg/kubelet/server/server.go ``getRun``, cri-client remote_runtime.go
``ExecSync``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_runtime.api.request import JSON, ApiError, respond_bytes
from edge_runtime.api.targets import (
    PodSource,
    RuntimeInventory,
    find_pod,
    find_running_container,
    runtime_errors,
)
from edge_runtime.api.until_closed import until_closed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.api.request import ApiRequest
    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.runtime_info import ExecResult
    from tunnel.stream import Stream

# The kubelet's server gives up on any request after four hours.
RUN_TIMEOUT_S = 4 * 60 * 60


class RunRuntime(RuntimeInventory, Protocol):
    """What run needs of the runtime."""

    async def exec_sync(
        self, container_id: ContainerID, command: Sequence[str], *, timeout_s: int
    ) -> ExecResult:
        """Run a command to its end."""
        ...


class RunHandler:
    """Answers ``/run/{namespace}/{pod}[/{uid}]/{container}``."""

    def __init__(self, *, pods: PodSource, runtime: RunRuntime) -> None:
        self._pods = pods
        self._runtime = runtime

    async def handle(self, request: ApiRequest, stream: Stream) -> None:
        """Answer with stdout followed by stderr.

        Raises:
            ApiError: The request cannot be carried out, or the command failed (500).
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        pod = find_pod(self._pods, request)
        name = request.parameters["container"]
        container_id = await find_running_container(self._runtime, pod, name)
        if container_id is None:
            raise ApiError(500, f'container not found ("{name}")')
        command = (request.first("cmd") or "").split(" ")
        with runtime_errors():
            result = await until_closed(
                stream,
                self._runtime.exec_sync(container_id, command, timeout_s=RUN_TIMEOUT_S),
            )
        if result.exit_code != 0:
            stderr = result.stderr.decode(errors="replace")
            raise ApiError(
                500, f"command '{' '.join(command)}' exited with {result.exit_code}: {stderr}"
            )
        await respond_bytes(stream, result.stdout + result.stderr, content_type=JSON)
