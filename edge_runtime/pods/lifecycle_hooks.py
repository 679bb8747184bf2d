"""Run lifecycle hooks: commands, HTTP requests, pauses.

Source: kubernetes pkg/kubelet/lifecycle/handlers.go.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from edge_runtime.objects.go_text import go_quote, go_seconds
from edge_runtime.pods.hooks import HookFailed
from edge_runtime.prober.http_get import BodyError, GetError, http_get
from edge_runtime.prober.http_message import BadRequest, get_request
from edge_runtime.runtime.errors import DeadlineExceeded, RuntimeServiceError, rpc_error_text

if TYPE_CHECKING:
    from edge_runtime.objects.container import Container, ContainerID, Json
    from edge_runtime.objects.pod import Pod
    from edge_runtime.pods.pod_events import PodEvents
    from edge_runtime.prober.http_message import GetRequest
    from edge_runtime.prober.prober import ExecRuntime

# A kubelet lets a hook run without end; a runtime that lost a command must not hold a pod for ever.
MAX_HOOK_S = 24 * 60 * 60

logger = logging.getLogger(__name__)


class LifecycleHooks:
    """Runs hooks; holds nothing of any single one."""

    def __init__(self, runtime: ExecRuntime, *, events: PodEvents) -> None:
        self._runtime = runtime
        self._events = events

    async def run_hook(
        self,
        pod: Pod,
        container: Container,
        container_id: ContainerID,
        handler: Json,
        *,
        timeout_s: float | None,
        ip: str,
    ) -> None:
        """Run one hook to its end.

        Cancelling ends it; a command that it ran is killed by the runtime.

        Args:
            pod: The pod.
            container: One of its containers.
            container_id: The attempt that runs.
            handler: ``postStart`` or ``preStop`` as written.
            timeout_s: For all of it; None is a day.
            ip: The pod's address, for HTTP hooks without a host; "" while it has none.

        Raises:
            HookFailed: It failed; the text is the kubelet's and may hold what the pod said.
        """
        where = f'for Container "{container.name}" in Pod "{pod.full_name}({pod.uid})" failed'
        limit_s = MAX_HOOK_S if timeout_s is None else timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await self._run(
                    pod, container, container_id, handler, limit_s=limit_s, ip=ip, where=where
                )
        except TimeoutError as exc:
            raise HookFailed(f"Lifecycle hook {where} - error: it did not end in time") from exc

    async def _run(
        self,
        pod: Pod,
        container: Container,
        container_id: ContainerID,
        handler: Json,
        *,
        limit_s: float,
        ip: str,
        where: str,
    ) -> None:
        if handler.get("exec") is not None:
            command = [str(word) for word in handler["exec"].get("command") or ()]
            await self._exec(container_id, command, limit_s=limit_s, where=where)
        elif handler.get("httpGet") is not None:
            await self._http(pod, container, handler["httpGet"], ip=ip, where=where)
        elif handler.get("sleep") is not None:
            await asyncio.sleep(int(handler["sleep"].get("seconds") or 0))
        else:
            raise HookFailed(f"Cannot run handler: invalid handler: {handler}")

    async def _exec(
        self, container_id: ContainerID, command: list[str], *, limit_s: float, where: str
    ) -> None:
        written = f"Exec lifecycle hook ([{' '.join(command)}]) {where} - error:"
        timeout_s = max(int(limit_s), 1)
        try:
            result = await self._runtime.exec_sync(container_id, command, timeout_s=timeout_s)
        except DeadlineExceeded as exc:
            told = f"{go_quote(' '.join(command))} timed out after {go_seconds(timeout_s)}"
            raise HookFailed(f'{written} command timed out: {told}, message: ""') from exc
        except RuntimeServiceError as exc:
            raise HookFailed(f'{written} {rpc_error_text(exc)}, message: ""') from exc
        if result.exit_code == 0:
            return
        errors = result.stderr.decode("utf-8", errors="replace")
        output = go_quote((result.stdout + result.stderr).decode("utf-8", errors="replace"))
        error = f"command '{' '.join(command)}' exited with {result.exit_code}: {errors}"
        raise HookFailed(f"{written} {error}, message: {output}")

    async def _http(
        self, pod: Pod, container: Container, action: Json, *, ip: str, where: str
    ) -> None:
        written = f"HTTP lifecycle hook ({action.get('path') or ''}) {where} - error:"
        if not ip and not action.get("host"):
            raise HookFailed(f"{written} failed to find networking container")
        try:
            request = get_request(action, container, pod_ip=ip, purpose="lifecycle")
            await self._get(pod, request)
        except (BadRequest, GetError) as exc:
            raise HookFailed(f"{written} {exc}") from exc

    async def _get(self, pod: Pod, request: GetRequest) -> None:
        """Ask; any answer will do, whatever its status."""
        try:
            await _answered(request)
        except GetError as exc:
            if not exc.is_plain:
                raise
            # Whoever asked for HTTPS may have meant credentials to be kept: these are not sent.
            headers = tuple(each for each in request.headers if each[0] != "Authorization")
            try:
                await _answered(replace(request, scheme="http", headers=headers))
            except GetError:
                raise exc from None
            self._events.http_fallback(pod, request.authority)


async def _answered(request: GetRequest) -> None:
    try:
        await http_get(request, timeout_s=None)
    except BodyError as exc:
        logger.debug("the answer to a hook broke off", extra={"error": str(exc)})
