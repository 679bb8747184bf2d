"""The gRPC health protocol against a real gRPC server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.runtime.grpc_health import check_health, decode_status, encode_request

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

_GRPC_TASKS = ("rpc_task", "HandleExceptions")


@contextlib.asynccontextmanager
async def _server(
    answer: Callable[[bytes, grpc.aio.ServicerContext[Any, Any]], Awaitable[bytes]] | None,
) -> AsyncIterator[str]:
    """Serve the health protocol meanwhile; None serves nothing."""
    server = grpc.aio.server()
    if answer is not None:
        handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(answer)
        handlers = grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler})
        server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(grace=None)
        left = [task for task in asyncio.all_tasks() if task.get_name().startswith(_GRPC_TASKS)]
        if left:
            await asyncio.wait(left, timeout=5)


def _answering(
    message: bytes, seen: list[tuple[bytes, str]] | None = None
) -> Callable[[bytes, grpc.aio.ServicerContext[Any, Any]], Awaitable[bytes]]:
    async def answer(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        agent = dict(context.invocation_metadata() or ()).get("user-agent", "")
        if seen is not None:
            seen.append((request, str(agent)))
        return message

    return answer


async def test_a_server_that_serves_is_healthy() -> None:
    """The service is named as the probe says, and the caller says who it is."""
    seen: list[tuple[bytes, str]] = []
    async with _server(_answering(b"\x08\x01", seen)) as address:
        assert await check_health(address, service="liveness", timeout_s=5) is None
        assert await check_health(address, service="", timeout_s=5) is None
    assert [request for request, _ in seen] == [b"\x0a\x08liveness", b""]
    assert seen[0][1].startswith("kube-probe/1.36 ")


@pytest.mark.parametrize(
    ("message", "name"),
    [
        (b"", "UNKNOWN"),
        (b"\x08\x02", "NOT_SERVING"),
        (b"\x08\x03", "SERVICE_UNKNOWN"),
        (b"\x08\x09", "9"),
    ],
)
async def test_any_other_status_is_unhealthy(message: bytes, name: str) -> None:
    """Named as the protocol names it."""
    async with _server(_answering(message)) as address:
        failure = await check_health(address, service="", timeout_s=5)
    assert failure == f'service unhealthy (responded with "{name}")'


async def test_a_server_without_the_protocol_is_unhealthy() -> None:
    """It should be told from one that is down."""
    async with _server(None) as address:
        failure = await check_health(address, service="", timeout_s=5)
    assert failure is not None
    assert failure.startswith(
        "error: this server does not implement the grpc health protocol (grpc.health.v1.Health): "
    )


async def test_a_refusing_server_is_unhealthy() -> None:
    """With its own words."""

    async def refuse(_: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        await context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you")
        raise AssertionError("abort raises")

    async with _server(refuse) as address:
        failure = await check_health(address, service="", timeout_s=5)
    assert failure == (
        "error: health rpc probe failed: rpc error: code = PermissionDenied desc = not you"
    )


async def test_a_silent_server_times_out() -> None:
    """It took the call, and says nothing."""

    async def hang(_: bytes, _context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError("never")

    async with _server(hang) as address:
        failure = await check_health(address, service="", timeout_s=1)
    assert failure == "timeout: health rpc did not complete within 1s"


async def test_nobody_listening_times_out() -> None:
    """A kubelet goes on connecting until its time is up."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{sock.getsockname()[1]}"
        failure = await check_health(address, service="", timeout_s=1)
    assert failure == (
        f'timeout: failed to connect service "{address}" within 1s: context deadline exceeded'
    )


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"\x12\x02ab\x08\x01", 1),  # an unknown field before it
        (b"\x08\x01\x08\x02", 2),  # the last one counts
        (b"\x11" + b"x" * 8 + b"\x1d" + b"x" * 4 + b"\x08\x01", 1),
        (b"\x08\x96\x01", 150),
    ],
)
def test_unknown_fields_are_skipped(message: bytes, status: int) -> None:
    """A newer protocol may say more."""
    assert decode_status(message) == status


@given(st.binary())
def test_any_bytes_are_a_status_or_refused(message: bytes) -> None:
    """Nothing else is raised."""
    with contextlib.suppress(ValueError):
        assert decode_status(message) >= 0


@given(st.text(max_size=300))
def test_a_service_name_is_one_field_with_its_length(service: str) -> None:
    """Also one whose length takes two bytes."""
    message = encode_request(service)
    assert message.endswith(service.encode())
    assert decode_status(message) == 0
