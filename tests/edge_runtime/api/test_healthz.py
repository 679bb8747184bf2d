"""Health: ok only when every part is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge_runtime.api.healthz import HealthHandler
from edge_runtime.api.router import Route, Router
from tests.fakes.edge_api import edge_api
from tests.fakes.tunnel_pair import tunnel_pair

if TYPE_CHECKING:
    from pathlib import Path


async def test_healthy_edge_says_ok(tmp_path: Path) -> None:
    """All together, one by one, and with names."""
    async with edge_api(tmp_path) as api:
        together = await api.pair.fetch("/healthz")
        one = await api.pair.fetch("/healthz/syncloop")
        verbose = await api.pair.fetch("/healthz?verbose")

    assert together == (200, b"ok")
    assert one == (200, b"ok")
    assert verbose == (200, b"[+]syncloop ok\n[+]runtime ok\nhealthz check passed\n")


async def test_failing_part_fails_all(tmp_path: Path) -> None:
    """And is named; the others go on answering for themselves."""
    async with edge_api(tmp_path) as api:
        api.problems["runtime"] = "no answer"
        together = await api.pair.fetch("/healthz")
        failing = await api.pair.fetch("/healthz/runtime")
        other = await api.pair.fetch("/healthz/syncloop")
        unknown = await api.pair.fetch("/healthz/none")

    assert together == (
        500,
        b"[+]syncloop ok\n[-]runtime failed: no answer\nhealthz check failed\n",
    )
    assert failing == (500, b"internal server error: no answer\n")
    assert other == (200, b"ok")
    assert unknown[0] == 404


async def raise_error() -> str | None:
    """Break."""
    raise RuntimeError("a bug")


async def hang() -> str | None:
    """Never answer."""
    await asyncio.Event().wait()
    return None


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("check", "said"), [(raise_error, b"RuntimeError: a bug"), (hang, b"no answer within 2 s")]
)
async def test_check_that_breaks_or_hangs_has_failed(check: object, said: bytes) -> None:
    """It must not make the edge look healthy, nor hang the question."""
    handler = HealthHandler({"it": check})  # type: ignore[dict-item]
    router = Router([Route("/healthz", ("GET",), handler.handle_all)])
    async with tunnel_pair(router.handle) as pair:
        status, body = await pair.fetch("/healthz")

    assert status == 500
    assert said in body
