"""The runtime's socket: calls with a deadline, and gRPC's errors as ours."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Protocol, TypeVar

import grpc
import grpc.aio

from edge_runtime.runtime.errors import BY_CODE, RuntimeServiceError, UnknownFailure
from edge_runtime.telemetry.current_trace import current_trace
from tunnel.tracing import NoTracer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from google.protobuf.message import Message

    from tunnel.trace_context import TraceContext
    from tunnel.tracing import Tracer

_Response = TypeVar("_Response", bound="Message")

# Lists of a full machine and the output of ExecSync are larger than gRPC's 4 MiB.
# Source: kubernetes staging/src/k8s.io/cri-client/pkg/remote_runtime.go ``maxMsgSize``.
RECEIVE_LIMIT_BYTES = 16 << 20
# Questions are answered from the runtime's memory; a machine at its limits may take seconds.
READ_TIMEOUT_S = 30.0
# Source: KubeletConfiguration runtimeRequestTimeout; twice that for sandboxes, whose network takes
# its time (cri-client remote_runtime.go RunPodSandbox).
CHANGE_TIMEOUT_S = 120.0
SANDBOX_TIMEOUT_S = 240.0
_OPTIONS = (
    ("grpc.max_receive_message_length", RECEIVE_LIMIT_BYTES),
    ("grpc.max_send_message_length", RECEIVE_LIMIT_BYTES),
    # A restarted runtime is found again quickly; same bounds as the kubelet's client.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 3000),
    ("grpc.enable_http_proxy", 0),
    # Retries would run an action twice.
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


class Called(Protocol):
    """Who is told of calls (telemetry/kubelet_metrics.py)."""

    def __call__(self, method: str, *, duration_s: float, has_failed: bool) -> None:
        """Take note of a call that is over; never waits."""


class CriChannel:
    """One connection to a gRPC server on a unix socket; made within the running event loop.

    It connects at the first call and again after the server went away; until it succeeds, calls
    fail at once with Unavailable.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        called: Called = lambda _method, *, duration_s, has_failed: None,
        tracer: Tracer | None = None,
    ) -> None:
        """Prepare the connection.

        Args:
            endpoint: ``unix:///run/containerd/containerd.sock``.
            called: Told of each call that has one answer; of one that was cancelled not.
            tracer: Follows the calls that belong to a trace.
        """
        self.endpoint = endpoint
        self._called = called
        self._tracer = tracer or NoTracer()
        self._channel = grpc.aio.insecure_channel(endpoint, options=_OPTIONS)

    async def unary(
        self,
        path: str,
        request: Message,
        response: type[_Response],
        *,
        timeout_s: float | None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> _Response:
        """Call once and return the answer.

        Args:
            path: ``/runtime.v1.RuntimeService/Version``.
            request: What to send.
            response: Type of the answer.
            timeout_s: Deadline, sent along so that the server gives up too; None where the caller
                ends the call itself.
            metadata: Sent along with the request.

        Raises:
            RuntimeServiceError: The call failed. Cancelling cancels it on the server as well; what
                it did by then stays done.
        """
        call = self._channel.unary_unary(
            path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )
        started_at_s = time.monotonic()
        try:
            with self._traced(path) as context, _translated(path):
                traced = () if context is None else context.headers
                answer = await call(request, timeout=timeout_s, metadata=(*metadata, *traced))
        except RuntimeServiceError:
            self._tell(path, started_at_s, has_failed=True)
            raise
        self._tell(path, started_at_s, has_failed=False)
        return answer

    async def stream(
        self,
        path: str,
        request: Message,
        response: type[_Response],
        *,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> AsyncGenerator[_Response, None]:
        """Yield the answers of a call that lives until it is left, or the server ends it.

        Raises:
            RuntimeServiceError: The call failed or the connection was lost.
        """
        open_call = self._channel.unary_stream(
            path,
            request_serializer=type(request).SerializeToString,
            response_deserializer=response.FromString,
        )
        call = open_call(request, metadata=tuple(metadata))
        try:
            with _translated(path):
                async for each in call:
                    yield each
        finally:
            call.cancel()

    def _traced(self, path: str) -> AbstractContextManager[TraceContext | None]:
        """Follow a call that belongs to a trace; what the edge asks of its own begins none."""
        parent = current_trace()
        if parent is None:
            return nullcontext()
        return self._tracer.span(path.removeprefix("/"), parent=parent, is_server=False)

    def _tell(self, path: str, started_at_s: float, *, has_failed: bool) -> None:
        duration_s = time.monotonic() - started_at_s
        self._called(path.rpartition("/")[2], duration_s=duration_s, has_failed=has_failed)

    async def close(self) -> None:
        """End the connection; running calls end with CancelledError."""
        await self._channel.close()


class CriCalls:
    """What the groups of CRI calls share: the channel, and the names of the two services."""

    def __init__(self, channel: CriChannel) -> None:
        self._channel = channel

    async def _runtime_call(
        self, name: str, request: Message, response: type[_Response], *, timeout_s: float
    ) -> _Response:
        path = f"/runtime.v1.RuntimeService/{name}"
        return await self._channel.unary(path, request, response, timeout_s=timeout_s)

    async def _image_call(
        self, name: str, request: Message, response: type[_Response], *, timeout_s: float | None
    ) -> _Response:
        path = f"/runtime.v1.ImageService/{name}"
        return await self._channel.unary(path, request, response, timeout_s=timeout_s)


@contextmanager
def _translated(path: str) -> Iterator[None]:
    try:
        yield
    except grpc.aio.AioRpcError as exc:
        number, _ = exc.code().value
        error = BY_CODE.get(number, UnknownFailure)
        raise error(
            method=path.rpartition("/")[2], message=exc.details() or exc.code().name
        ) from exc
