"""The health port: alive, ready, and why not."""

from __future__ import annotations

import aiohttp
import pytest

from provider.serving.health_port import HealthPort
from provider.serving.https_server import ListenError


async def ask(port: int, path: str, *, method: str = "GET") -> tuple[int, str]:
    """Return status and body of one probe."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return answer.status, await answer.text()


async def test_it_says_whether_and_why_not() -> None:
    """Ready and alive are two things."""
    reason = "another provider serves the site"
    port = HealthPort(why_not_ready=lambda: reason)
    await port.listen(host="127.0.0.1", port=0)
    try:
        assert await ask(port.port, "/livez") == (200, "ok\n")
        assert await ask(port.port, "/healthz") == (200, "ok\n")
        assert await ask(port.port, "/readyz") == (503, "another provider serves the site\n")
        reason = ""
        assert await ask(port.port, "/readyz?verbose") == (200, "ok\n")
        assert (await ask(port.port, "/metrics"))[0] == 404
        assert (await ask(port.port, "/readyz", method="POST"))[0] == 405
        with pytest.raises(ListenError):
            await port.listen(host="127.0.0.1", port=port.port)
    finally:
        await port.shutdown(timeout_s=1)
