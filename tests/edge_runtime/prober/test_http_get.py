"""GETs over real sockets: what comes back, and what is said when nothing does."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from edge_runtime.prober.http_get import MAX_BODY_BYTES, BodyError, GetError, http_get
from edge_runtime.prober.http_message import GetRequest
from tests.fakes.http_target import HttpTarget, answer, http_target

if TYPE_CHECKING:
    from collections.abc import Iterator


def _request(target: HttpTarget, path: str = "/", *, scheme: str = "http") -> GetRequest:
    return GetRequest(scheme=scheme, host="127.0.0.1", port=target.port, target=path)


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port on which nobody listens: it is bound and never accepts."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


async def test_an_answer_comes_with_its_body() -> None:
    """Status and text."""
    async with http_target({"/": answer(500, "sorry")}) as target:
        found = await http_get(_request(target), timeout_s=5)
        assert (found.status, found.body) == (500, "sorry")


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", "until the end"),
        (b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "ok"),
        (b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\n\r\n", "ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\xff", "\ufffd"),
    ],
)
async def test_every_form_of_body_is_read(raw: bytes, body: str) -> None:
    """With a length, in chunks, until the end; after what only says to go on."""
    async with http_target({"/": raw}) as target:
        found = await http_get(_request(target), timeout_s=5)
        assert (found.status // 100, found.body) == (2, body)


@pytest.mark.parametrize("how", ["length", "chunks", "end"])
async def test_of_a_large_body_only_the_beginning_is_read(how: str) -> None:
    """10 KiB; the rest is nobody's business."""
    body = b"x" * (MAX_BODY_BYTES * 3)
    raw = {
        "length": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body,
        "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body,
        "end": b"HTTP/1.1 200 OK\r\n\r\n" + body,
    }[how]
    async with http_target({"/": raw}) as target:
        found = await http_get(_request(target), timeout_s=5)
        assert len(found.body) == MAX_BODY_BYTES


async def test_redirects_on_the_same_host_are_followed() -> None:
    """To the answer at their end."""
    answers = {"/": answer(302, "", "Location: /next"), "/next": answer(200, "here")}
    async with http_target(answers) as target:
        found = await http_get(_request(target), timeout_s=5)
        assert (found.status, found.body) == (200, "here")
        assert f"Referer: http://127.0.0.1:{target.port}/" in target.requests[1]


async def test_a_redirect_to_another_host_is_the_answer() -> None:
    """Its body is kept for the warning."""
    answers = {"/": answer(301, "moved", "Location: http://example.com/")}
    async with http_target(answers) as target:
        found = await http_get(_request(target), timeout_s=5)
        assert (found.status, found.body) == (301, "moved")


async def test_redirects_end() -> None:
    """Ten, then it is a failure."""
    async with http_target({"/": answer(302, "", "Location: /")}) as target:
        with pytest.raises(GetError, match="stopped after 10 redirects"):
            await http_get(_request(target), timeout_s=5)
        assert len(target.requests) == 10


async def test_a_refused_connection_reads_as_go_s(unused_port: int) -> None:
    """The text ends up in an event."""
    request = GetRequest(scheme="http", host="127.0.0.1", port=unused_port, target="/x")
    expected = (
        f'Get "http://127.0.0.1:{unused_port}/x": '
        f"dial tcp 127.0.0.1:{unused_port}: connect: connection refused"
    )
    with pytest.raises(GetError) as failure:
        await http_get(request, timeout_s=5)
    assert str(failure.value) == expected


async def test_an_unknown_name_is_no_host() -> None:
    """Looked up with the machine's own resolver."""
    request = GetRequest(scheme="http", host="name.invalid", port=80, target="/")
    with pytest.raises(GetError, match=r"dial tcp: lookup name\.invalid: no such host"):
        await http_get(request, timeout_s=30)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", '/": EOF'),
        (b"HTTP/1.1 200 OK\r\n", '/": unexpected EOF'),
        (b"SSH-2.0-x\r\n\r\n", '/": net/http: HTTP/1.x transport connection broken: malformed'),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70000 + b"\r\n\r\n", "headers exceeded 65536 bytes"),
        (b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 20000 + b"\r\n", "headers exceeded 65536 bytes"),
        (b"HTTP/1.1 100 Go on\r\n\r\n" * 9, "too many 1xx informational responses"),
    ],
)
async def test_what_is_no_answer_fails(raw: bytes, message: str) -> None:
    """With Go's words."""
    async with http_target({"/": raw}) as target:
        with pytest.raises(GetError) as failure:
            await http_get(_request(target), timeout_s=5)
        assert message in str(failure.value)


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nabc",
    ],
)
async def test_a_body_that_breaks_off_is_an_error_of_its_own(raw: bytes) -> None:
    """There was an answer, so the probe is tried again."""
    async with http_target({"/": raw}) as target:
        with pytest.raises(BodyError):
            await http_get(_request(target), timeout_s=5)


async def test_a_silent_server_times_out() -> None:
    """While the head is awaited it is a failure, within the body an error."""
    async with http_target({}) as target:
        target.held["/"] = asyncio.Event()
        message = r"context deadline exceeded \(Client.Timeout exceeded while awaiting headers\)"
        with pytest.raises(GetError, match=message):
            await http_get(_request(target), timeout_s=0.1)


async def test_a_body_that_never_comes_times_out() -> None:
    """The head was there."""
    released = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        await released.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    target = HttpTarget({}, port=server.sockets[0].getsockname()[1])
    with pytest.raises(BodyError, match="while reading body"):
        await http_get(_request(target), timeout_s=0.1)
    released.set()
    server.close()
    await server.wait_closed()


def _tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("elsewhere.example").configure_cert(context)
    return context


async def test_https_is_not_verified() -> None:
    """A certificate for another name by an unknown CA will do."""
    async with http_target({"/": answer(200, "secret")}, tls=_tls()) as target:
        found = await http_get(_request(target, scheme="https"), timeout_s=5)
        assert found.body == "secret"


async def test_a_plain_server_is_told_from_a_broken_one() -> None:
    """A hook then asks again without TLS."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer(400, "plain"))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    target = HttpTarget({}, port=server.sockets[0].getsockname()[1])
    with pytest.raises(GetError, match="server gave HTTP response to HTTPS client") as failure:
        await http_get(_request(target, scheme="https"), timeout_s=5)
    assert failure.value.is_plain
    server.close()
    await server.wait_closed()


async def test_cancelling_leaves_no_connection() -> None:
    """The server sees the end."""
    async with http_target({}) as target, asyncio.TaskGroup() as group:
        target.held["/"] = asyncio.Event()
        asking = group.create_task(http_get(_request(target), timeout_s=None))
        while not target.requests:  # noqa: ASYNC110  # the other end of a socket
            await asyncio.sleep(0.01)
        asking.cancel()
