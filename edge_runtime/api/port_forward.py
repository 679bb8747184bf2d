"""``/portForward``: connections into a pod's network, relayed.

Source: kubernetes pkg/kubelet/server/server.go ``getPortForward``,
cri-streaming pkg/streaming/portforward/websocket.go ``NewV4Options``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_runtime.api.request import ApiError
from edge_runtime.api.stream_relay import relay_upgrade, require_upgrade
from edge_runtime.api.targets import (
    PodSource,
    RuntimeInventory,
    find_pod,
    find_ready_sandbox,
    runtime_errors,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.api.request import ApiRequest
    from edge_runtime.objects.pod import SandboxID
    from tunnel.stream import Stream


class PortForwardRuntime(RuntimeInventory, Protocol):
    """What port-forward needs of the runtime."""

    async def port_forward(self, sandbox_id: SandboxID, *, ports: Sequence[int] = ()) -> str:
        """Prepare forwarding and return its URL, good for one use."""
        ...


class PortForwardHandler:
    """Answers ``/portForward/{namespace}/{pod}[/{uid}]``."""

    def __init__(self, *, pods: PodSource, runtime: PortForwardRuntime) -> None:
        self._pods = pods
        self._runtime = runtime

    async def handle(self, request: ApiRequest, stream: Stream) -> None:
        """Relay the forwarding connection until the client ends it.

        Raises:
            ApiError: The request cannot be carried out.
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        ports = parse_ports(request)
        pod = find_pod(self._pods, request, wrong_uid_text="pod not found")
        sandbox_id = await find_ready_sandbox(self._runtime, pod)
        require_upgrade(request)
        with runtime_errors():
            url = await self._runtime.port_forward(sandbox_id, ports=ports)
        await relay_upgrade(request, stream, url=url)


def parse_ports(request: ApiRequest) -> tuple[int, ...]:
    """Read the ports of a WebSocket request; with SPDY they come later, in stream headers.

    Raises:
        ApiError: 400 when ports are missing, or one is no port.
    """
    if (request.protocol or "").lower() != "websocket":
        return ()
    values = request.query.get("port", ())
    if not values:
        raise ApiError(400, 'query parameter "port" is required')
    ports: list[int] = []
    for value in values:
        if not value:
            raise ApiError(400, 'query parameter "port" cannot be empty')
        for text in value.split(","):
            if not (text.isascii() and text.isdecimal() and int(text) < 1 << 16):
                raise ApiError(400, f'unable to parse "{value}" as a port')
            if int(text) == 0:
                raise ApiError(400, f'port "{value}" must be > 0')
            ports.append(int(text))
    return tuple(ports)
