"""Tests of edge_runtime/runtime/cri_channel.py against a real gRPC server."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from cri_protos import api_pb2 as pb
from edge_runtime.api.request import ApiRequest, respond_bytes
from edge_runtime.api.router import Route, Router
from edge_runtime.runtime.cri_channel import CriChannel
from edge_runtime.runtime.errors import RuntimeServiceError
from tests.fakes.tunnel_pair import read_all, tunnel_pair

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tunnel.stream import Stream

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
VERSION = "/runtime.v1.RuntimeService/Version"


class _Runtime(grpc.GenericRpcHandler):
    """Knows Version alone; keeps what each call brought along."""

    def __init__(self) -> None:
        self.metadata: list[dict[str, str]] = []

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        if handler_call_details.method != VERSION:
            return None
        self.metadata.append({key: str(value) for key, value in _pairs(handler_call_details)})
        return grpc.unary_unary_rpc_method_handler(_answer)


def _pairs(details: grpc.HandlerCallDetails) -> list[tuple[str, str | bytes]]:
    return [(key, value) for key, value in details.invocation_metadata or ()]


async def _answer(_request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    return pb.VersionResponse(runtime_name="fake").SerializeToString()


@contextlib.asynccontextmanager
async def _runtime(folder: Path) -> AsyncIterator[tuple[_Runtime, str]]:
    """Serve on a socket until the block ends."""
    runtime, server = _Runtime(), grpc.aio.server()
    endpoint = f"unix://{folder}/cri.sock"
    server.add_generic_rpc_handlers((runtime,))
    server.add_insecure_port(endpoint)
    await server.start()
    try:
        yield runtime, endpoint
    finally:
        await server.stop(None)


async def _ask(channel: CriChannel, path: str = VERSION) -> pb.VersionResponse:
    return await channel.unary(path, pb.VersionRequest(), pb.VersionResponse, timeout_s=5)


async def test_a_trace_goes_from_the_tunnel_to_the_runtime(tmp_path: Path) -> None:
    """As the caller named it; a call without one brings none."""
    async with _runtime(tmp_path) as (runtime, endpoint):
        channel = CriChannel(endpoint)

        async def handle(_request: ApiRequest, stream: Stream) -> None:
            answer = await _ask(channel)
            await respond_bytes(stream, answer.runtime_name.encode())

        router = Router([Route("/version", ("GET",), handle)])
        async with tunnel_pair(router.handle) as pair:
            traced = (("traceparent", PARENT), ("tracestate", "a=1"))
            for headers in (traced, (("traceparent", "nonsense"),), ()):
                stream = await pair.request("/version", headers=headers)
                assert await read_all(stream) == b"fake"
        await channel.close()
    first, second, third = runtime.metadata
    assert (first["traceparent"], first["tracestate"]) == (PARENT, "a=1")
    assert not {"traceparent", "tracestate"} & (second.keys() | third.keys())


async def test_calls_are_told_with_how_they_ended(tmp_path: Path) -> None:
    """By CRI's names, with how long they took."""
    told: list[tuple[str, bool]] = []

    def called(method: str, *, duration_s: float, has_failed: bool) -> None:
        assert 0 < duration_s < 5
        told.append((method, has_failed))

    async with _runtime(tmp_path) as (_, endpoint):
        channel = CriChannel(endpoint, called=called)
        await _ask(channel)
        with pytest.raises(RuntimeServiceError):
            await _ask(channel, "/runtime.v1.RuntimeService/Nothing")
        await channel.close()
    assert told == [("Version", False), ("Nothing", True)]
