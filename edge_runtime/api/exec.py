"""``/exec``: run a command in a container, its streams relayed.

Source: kubernetes pkg/kubelet/server/server.go ``getExec``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_runtime.api.lost_exec import LostExec
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
    from collections.abc import Callable, Sequence

    from edge_runtime.api.request import ApiRequest
    from edge_runtime.objects.container import ContainerID
    from tunnel.stream import Stream


class ExecRuntime(RuntimeInventory, Protocol):
    """What exec needs of the runtime."""

    async def exec(
        self,
        container_id: ContainerID,
        command: Sequence[str],
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        tty: bool,
    ) -> str:
        """Prepare the command and return the URL that runs it, good for one use."""
        ...


class ExecHandler:
    """Answers ``/exec/{namespace}/{pod}[/{uid}]/{container}``."""

    def __init__(
        self, *, pods: PodSource, runtime: ExecRuntime, outlived: Callable[[], None]
    ) -> None:
        """Run commands.

        Args:
            pods: The desired pods.
            runtime: Runs them.
            outlived: Told of each process that went on after its caller was lost.
        """
        self._pods = pods
        self._runtime = runtime
        self._outlived = outlived

    async def handle(self, request: ApiRequest, stream: Stream) -> None:
        """Run the command and relay its streams until they ended.

        Raises:
            ApiError: The request cannot be carried out; nothing was started.
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        wanted = parse_streams_wanted(request)
        pod = find_pod(self._pods, request)
        name = request.parameters["container"]
        container_id = await find_running_container(self._runtime, pod, name)
        if container_id is None:
            raise ApiError(500, f'container not found ("{name}")')
        require_upgrade(request)
        with runtime_errors():
            url = await self._runtime.exec(
                container_id,
                request.query.get("command", ()),
                stdin=wanted.stdin,
                stdout=wanted.stdout,
                stderr=wanted.stderr,
                tty=wanted.tty,
            )
        lost = LostExec(has_terminal=wanted.tty, outlived=self._outlived)
        await relay_upgrade(request, stream, url=url, lost=lost)
