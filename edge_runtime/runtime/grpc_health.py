"""The gRPC health protocol, as a kubelet's probes speak it.

Two messages of one field each: they are read and written here, so that no generated code is needed.

Source: kubernetes pkg/probe/grpc/grpc.go; grpc/grpc-proto grpc/health/v1/health.proto.
"""

from __future__ import annotations

import asyncio

import grpc
import grpc.aio

from edge_runtime.objects.go_text import go_quote, go_seconds

CHECK_PATH = "/grpc.health.v1.Health/Check"
_STATUS_NAMES = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
_OPTIONS = (
    ("grpc.primary_user_agent", "kube-probe/1.36"),
    # A probe never goes through a proxy, and each makes a connection of its own.
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
)
# Go's names of codes, where they are not ours in another case.
_GO_CODES = {grpc.StatusCode.CANCELLED: "Canceled", grpc.StatusCode.OK: "OK"}


async def check_health(address: str, *, service: str, timeout_s: int) -> str | None:
    """Ask a server whether it serves; leaves no connection behind, cancelled or not.

    Args:
        address: ``10.0.0.1:9000``, IPv6 in brackets.
        service: Which of its services, "" for the server as a whole.
        timeout_s: For connecting and asking.

    Returns:
        None if it serves, else what is wrong in a kubelet's words.
    """
    deadline_s = asyncio.get_running_loop().time() + timeout_s
    channel = grpc.aio.insecure_channel(f"dns:///{address}", options=_OPTIONS)
    try:
        try:
            async with asyncio.timeout_at(deadline_s):
                await channel.channel_ready()
        except TimeoutError:
            within = go_seconds(timeout_s)
            return (
                f"timeout: failed to connect service {go_quote(address)} within {within}: "
                "context deadline exceeded"
            )
        return await _check(channel, service, deadline_s, timeout_s=timeout_s)
    finally:
        await channel.close()


async def _check(
    channel: grpc.aio.Channel, service: str, deadline_s: float, *, timeout_s: int
) -> str | None:
    call = channel.unary_unary(
        CHECK_PATH, request_serializer=encode_request, response_deserializer=decode_status
    )
    left_s = max(deadline_s - asyncio.get_running_loop().time(), 0.0)
    try:
        status = await call(service, timeout=left_s)
    except grpc.aio.AioRpcError as exc:
        return _failure(exc, timeout_s=timeout_s)
    name = _STATUS_NAMES.get(status, str(status))
    return None if name == "SERVING" else f"service unhealthy (responded with {go_quote(name)})"


def _failure(exc: grpc.aio.AioRpcError, *, timeout_s: int) -> str:
    code, details = exc.code(), exc.details() or ""
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return (
            "error: this server does not implement the grpc health protocol "
            f"(grpc.health.v1.Health): {details}"
        )
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"timeout: health rpc did not complete within {go_seconds(timeout_s)}"
    name = _GO_CODES.get(code) or code.name.title().replace("_", "")
    return f"error: health rpc probe failed: rpc error: code = {name} desc = {details}"


def encode_request(service: str) -> bytes:
    """Encode HealthCheckRequest: field 1, the service's name."""
    if not service:
        return b""
    name = service.encode()
    return b"\x0a" + _varint(len(name)) + name


def decode_status(message: bytes) -> int:
    """Read HealthCheckResponse: field 1, the status; 0 without one.

    Raises:
        ValueError: It is no protobuf message.
    """
    status, position = 0, 0
    while position < len(message):
        key, position = _read_varint(message, position)
        value = 0
        match key & 7:
            case 0:
                value, position = _read_varint(message, position)
            case 1:
                position += 8
            case 2:
                size, position = _read_varint(message, position)
                position += size
            case 5:
                position += 4
            case _:
                raise ValueError(f"unknown wire type {key & 7}")
        if key == 0x08:
            status = value
    if position > len(message):
        raise ValueError("the message breaks off")
    return status


def _varint(number: int) -> bytes:
    result = bytearray()
    while number > 0x7F:
        result.append(number & 0x7F | 0x80)
        number >>= 7
    result.append(number)
    return bytes(result)


def _read_varint(message: bytes, position: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 64, 7):
        if position >= len(message):
            raise ValueError("the message breaks off")
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
    raise ValueError("a number of more than 64 bits")
