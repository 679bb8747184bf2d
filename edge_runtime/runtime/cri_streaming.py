"""Commands, terminals and forwarded ports: the streaming half of CRI's RuntimeService."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cri_protos import api_pb2 as pb
from edge_runtime.objects.runtime_info import ExecResult
from edge_runtime.runtime.cri_channel import CHANGE_TIMEOUT_S, READ_TIMEOUT_S, CriCalls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import SandboxID


class CriStreaming(CriCalls):
    """Calls that run something in a container or open a stream into it.

    ``exec``, ``attach`` and ``port_forward`` return a URL on the machine's loopback that serves one
    connection, within a minute (SPDY or WebSocket). All raise RuntimeServiceError.
    """

    async def exec_sync(
        self, container_id: ContainerID, command: Sequence[str], *, timeout_s: int
    ) -> ExecResult:
        """Run a command to its end and return what it wrote.

        Args:
            container_id: A running container.
            command: Program and arguments; no shell.
            timeout_s: Seconds, at least 1, after which the runtime kills the command.

        Raises:
            DeadlineExceeded: It was killed, or the runtime did not answer 2 minutes later either.
        """
        if timeout_s < 1:
            raise ValueError(f"exec_sync needs a timeout of at least 1 s, got {timeout_s}")
        response = await self._runtime_call(
            "ExecSync",
            pb.ExecSyncRequest(container_id=container_id, cmd=command, timeout=timeout_s),
            pb.ExecSyncResponse,
            timeout_s=timeout_s + CHANGE_TIMEOUT_S,
        )
        return ExecResult(
            stdout=response.stdout, stderr=response.stderr, exit_code=response.exit_code
        )

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
        """Prepare a command and return the URL of its streams; a terminal has no stderr."""
        request = pb.ExecRequest(
            container_id=container_id,
            cmd=command,
            tty=tty,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr and not tty,
        )
        response = await self._runtime_call(
            "Exec", request, pb.ExecResponse, timeout_s=READ_TIMEOUT_S
        )
        return response.url

    async def attach(
        self, container_id: ContainerID, *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str:
        """Return the URL of a running container's own streams; a terminal has no stderr."""
        request = pb.AttachRequest(
            container_id=container_id,
            stdin=stdin,
            tty=tty,
            stdout=stdout,
            stderr=stderr and not tty,
        )
        response = await self._runtime_call(
            "Attach", request, pb.AttachResponse, timeout_s=READ_TIMEOUT_S
        )
        return response.url

    async def port_forward(self, sandbox_id: SandboxID, *, ports: Sequence[int] = ()) -> str:
        """Return the URL through which ports of the pod are reached.

        Args:
            sandbox_id: A ready sandbox.
            ports: Only for WebSocket; with SPDY the streams name their ports.
        """
        response = await self._runtime_call(
            "PortForward",
            pb.PortForwardRequest(pod_sandbox_id=sandbox_id, port=ports),
            pb.PortForwardResponse,
            timeout_s=READ_TIMEOUT_S,
        )
        return response.url
