"""One probe of one container: exec, HTTP, TCP or gRPC.

Source: kubernetes pkg/kubelet/prober/prober.go, pkg/probe.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge_runtime.objects.go_text import go_quote, go_seconds
from edge_runtime.prober.dial import DialError, close, dial, join_host_port
from edge_runtime.prober.http_get import BodyError, GetError, http_get
from edge_runtime.prober.http_message import BadRequest, get_request, resolve_port
from edge_runtime.runtime.errors import DeadlineExceeded, RuntimeServiceError, rpc_error_text
from edge_runtime.runtime.expansion import expand

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from edge_runtime.objects.container import Container, ContainerID, Json
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.runtime_info import ExecResult
    from edge_runtime.prober.thresholds import ProbeSpec

# Source: kubernetes pkg/kubelet/prober/prober.go ``maxProbeRetries``.
MAX_TRIES = 3
# Source: kubernetes pkg/probe/exec/exec.go ``maxReadLength``.
MAX_OUTPUT_BYTES = 10 * 1024

logger = logging.getLogger(__name__)


class ExecRuntime(Protocol):
    """What runs commands in containers (runtime/cri_client.py)."""

    async def exec_sync(
        self, container_id: ContainerID, command: Sequence[str], *, timeout_s: int
    ) -> ExecResult:
        """Run a command to its end; raises RuntimeServiceError."""
        ...


class ProbeEvents(Protocol):
    """Where failures are told (pods/pod_events.py)."""

    def probe_failed(self, pod: Pod, name: str, probe: str, output: str) -> None:
        """A probe found a container wanting."""
        ...

    def probe_errored(self, pod: Pod, name: str, probe: str, result: str, error: str) -> None:
        """A probe could not be made."""
        ...

    def probe_warned(self, pod: Pod, name: str, probe: str, output: str) -> None:
        """A probe succeeded, but not as it should."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTarget:
    """What is asked of whom.

    Attributes:
        pod_ip: "" while the pod has no address.
    """

    pod: Pod
    container: Container
    spec: ProbeSpec
    container_id: ContainerID
    pod_ip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeOutcome:
    """What came of an attempt; `message` says why it failed, or what it wrote.

    Attributes:
        is_warning: It succeeded, but somebody should look at it.
    """

    is_success: bool
    message: str = ""
    is_warning: bool = False


class ProbeErrored(Exception):
    """The container could not be asked, which says nothing of it; the text says why.

    Attributes:
        state: The kubelet's word for what it then knows.
    """

    def __init__(self, message: str, *, state: str = "unknown") -> None:
        super().__init__(message)
        self.state = state


class Prober:
    """Makes probes; holds nothing of any single one."""

    def __init__(
        self,
        runtime: ExecRuntime,
        *,
        events: ProbeEvents,
        check_health: Callable[..., Awaitable[str | None]],
    ) -> None:
        """Prepare.

        Args:
            runtime: Runs the commands of exec probes.
            events: Where failures are told.
            check_health: ``runtime.grpc_health.check_health``.
        """
        self._runtime = runtime
        self._events = events
        self._check_health = check_health

    async def probe(self, target: ProbeTarget) -> ProbeOutcome | None:
        """Ask a container once; failures and warnings are told as events.

        Returns None when the container could not be asked, which leaves everything as it was.
        Cancelling gives the attempt up; a command that it ran is killed.
        """
        word = target.spec.kind.value.removesuffix("Probe").capitalize()
        name = target.container.name
        try:
            outcome = await self._try(target)
        except ProbeErrored as exc:
            self._events.probe_errored(target.pod, name, word, exc.state, str(exc))
            return None
        if not outcome.is_success:
            self._events.probe_failed(target.pod, name, word, outcome.message)
        elif outcome.is_warning:
            self._events.probe_warned(target.pod, name, word, outcome.message)
        return outcome

    async def _try(self, target: ProbeTarget) -> ProbeOutcome:
        for left in reversed(range(MAX_TRIES)):
            try:
                return await self._attempt(target)
            except ProbeErrored:
                if not left:
                    raise
        raise AssertionError("the last try returns or raises")

    async def _attempt(self, target: ProbeTarget) -> ProbeOutcome:
        probe = target.spec.raw
        if probe.get("exec") is not None:
            return await self._exec(target, probe["exec"])
        if probe.get("httpGet") is not None:
            return await _http(target, probe["httpGet"])
        if probe.get("tcpSocket") is not None:
            return await _tcp(target, probe["tcpSocket"])
        if probe.get("grpc") is not None:
            return await self._grpc(target, probe["grpc"])
        pod = target.pod
        where = f"{pod.full_name}({pod.uid}):{target.container.name}"
        raise ProbeErrored(f"missing probe handler for {where}")

    async def _exec(self, target: ProbeTarget, action: Json) -> ProbeOutcome:
        # Only the literal variables, unexpanded: the others are known to the container alone.
        values = {each.name: each.value for each in target.container.env}
        command = [expand(str(word), values) for word in action.get("command") or ()]
        timeout_s = target.spec.timeout_s
        try:
            result = await self._runtime.exec_sync(
                target.container_id, command, timeout_s=timeout_s
            )
        except DeadlineExceeded:
            told = f"{go_quote(' '.join(command))} timed out after {go_seconds(timeout_s)}"
            return ProbeOutcome(is_success=False, message=f"command timed out: {told}")
        except RuntimeServiceError as exc:
            raise ProbeErrored(rpc_error_text(exc)) from exc
        output = (result.stdout + result.stderr)[:MAX_OUTPUT_BYTES]
        return ProbeOutcome(
            is_success=result.exit_code == 0, message=output.decode("utf-8", errors="replace")
        )

    async def _grpc(self, target: ProbeTarget, action: Json) -> ProbeOutcome:
        failure = await self._check_health(
            join_host_port(target.pod_ip, int(action["port"])),
            service=str(action.get("service") or ""),
            timeout_s=target.spec.timeout_s,
        )
        return ProbeOutcome(is_success=failure is None, message=failure or "service healthy")


async def _http(target: ProbeTarget, action: Json) -> ProbeOutcome:
    try:
        request = get_request(action, target.container, pod_ip=target.pod_ip, purpose="probe")
    except BadRequest as exc:
        raise ProbeErrored(str(exc)) from exc
    try:
        answer = await http_get(request, timeout_s=target.spec.timeout_s)
    except GetError as exc:
        return ProbeOutcome(is_success=False, message=str(exc))
    except BodyError as exc:
        raise ProbeErrored(str(exc), state="failure") from exc
    if not 200 <= answer.status < 400:
        # The body may hold what only the pod's owner may see.
        message = f"HTTP probe failed with statuscode: {answer.status}"
        return ProbeOutcome(is_success=False, message=message)
    if answer.status >= 300:
        message = f"Probe terminated redirects, Response body: {answer.body}"
        return ProbeOutcome(is_success=True, message=message, is_warning=True)
    return ProbeOutcome(is_success=True, message=answer.body)


async def _tcp(target: ProbeTarget, action: Json) -> ProbeOutcome:
    try:
        port = resolve_port(action.get("port"), target.container)
    except BadRequest as exc:
        raise ProbeErrored(str(exc)) from exc
    host = str(action.get("host") or "") or target.pod_ip
    try:
        async with asyncio.timeout(target.spec.timeout_s):
            _, writer = await dial(host, port)
    except DialError as exc:
        return ProbeOutcome(is_success=False, message=str(exc))
    except TimeoutError:
        message = f"dial tcp {join_host_port(host, port)}: i/o timeout"
        return ProbeOutcome(is_success=False, message=message)
    await close(writer)
    return ProbeOutcome(is_success=True)
