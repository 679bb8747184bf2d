"""Bounds and failures of what the API server answers."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from provider.kube import answers
from provider.kube.client import KubeClient
from provider.kube.credentials import ClusterAccess, StaticToken
from provider.kube.errors import Unavailable
from tunnel.identity import SiteName

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from provider.kube.client import KubeApi

QUERY = {"watch": "true"}


@asynccontextmanager
async def answering(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[KubeApi]:
    """Serve every request with the handler."""
    application = web.Application()
    application.router.add_get("/{tail:.*}", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    access = ClusterAccess(server=url, tls=None, tokens=StaticToken())
    async with KubeClient(access, site=SiteName("a")) as client:
        yield client.as_self
    await runner.cleanup()


@pytest.mark.parametrize("body", ["<html>", "[1]", ""])
async def test_an_answer_that_is_no_object_is_unavailable(body: str) -> None:
    """A proxy's page with status 200 is no answer."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text=body)

    async with answering(handler) as api:
        with pytest.raises(Unavailable, match="no JSON"):
            await api.get("/api/v1/nodes/n")


async def test_a_proxys_error_page_is_quoted() -> None:
    """Its first words help more than its status alone."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=502, text="upstream is down", headers={"Retry-After": "7"})

    async with answering(handler) as api:
        with pytest.raises(Unavailable, match="502 upstream is down") as caught:
            await api.get("/api/v1/nodes/n")
    assert caught.value.retry_after_s == 7.0


async def test_a_body_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an error, not all of the memory."""
    monkeypatch.setattr(answers, "MAX_BODY_BYTES", 1000)

    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="{" + " " * 2000 + "}")

    async with answering(handler) as api:
        with pytest.raises(Unavailable, match="longer than 1000"):
            await api.get("/api/v1/nodes/n")


async def test_a_line_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole lines before it still arrive."""
    monkeypatch.setattr(answers, "MAX_LINE_BYTES", 1000)

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"a":1}\n' + b"x" * 2000)
        return response

    async with answering(handler) as api, api.watch_lines("/w", query=QUERY, timeout_s=9) as lines:
        assert await anext(lines) == b'{"a":1}'
        with pytest.raises(Unavailable, match="longer than 1000"):
            await anext(lines)


async def test_lines_are_put_together_and_a_torn_one_is_left_out() -> None:
    """The boundaries of writes mean nothing."""

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for part in (b"on", b"e\ntwo\nth", b"ree\n", b"torn"):
            await response.write(part)
            await asyncio.sleep(0)
        return response

    async with answering(handler) as api, api.watch_lines("/w", query=QUERY, timeout_s=9) as lines:
        assert [line async for line in lines] == [b"one", b"two", b"three"]


@pytest.mark.looptime
async def test_a_callers_error_is_not_taken_for_the_watchs() -> None:
    """Translation and time-outs stay out of the caller's code."""
    finished = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        await finished.wait()
        return response

    async with answering(handler) as api:
        with pytest.raises(OSError, match="mine"):  # noqa: PT012 - the block is what is tested
            async with api.watch_lines("/w", query=QUERY, timeout_s=5) as lines:
                assert await anext(lines) == b"one"
                await asyncio.sleep(60)  # longer than the watch may take: nothing is cancelled
                raise OSError("mine")
        async with api.watch_lines("/w", query=QUERY, timeout_s=5) as lines:
            assert await anext(lines) == b"one"
            with pytest.raises(Unavailable, match="in time"):
                await anext(lines)
        finished.set()
