"""``/healthz``: whether this edge does its work.

Source: kubernetes apiserver pkg/server/healthz/healthz.go ``handleRootHealth``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from edge_runtime.api.request import ApiError, respond_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.api.request import ApiRequest
    from tunnel.stream import Stream

logger = logging.getLogger(__name__)

# Returns what is wrong in a few words, or None.
HealthCheck = Callable[[], Awaitable[str | None]]
CHECK_TIMEOUT_S = 2.0


class HealthHandler:
    """Answers ``/healthz`` and ``/healthz/{check}``.

    Args:
        checks: By name, in the order in which they are told; a check that takes longer than
            CHECK_TIMEOUT_S has failed.
    """

    def __init__(self, checks: Mapping[str, HealthCheck]) -> None:
        self._checks = dict(checks)

    async def handle_all(self, request: ApiRequest, stream: Stream) -> None:
        """Answer ``ok``, or 500 with every check's result.

        Raises:
            ApiError: 500, a check failed.
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(_run(check)) for name, check in self._checks.items()}
        problems = {name: task.result() for name, task in tasks.items()}
        lines = [
            f"[+]{name} ok" if problem is None else f"[-]{name} failed: {problem}"
            for name, problem in problems.items()
        ]
        if any(problem is not None for problem in problems.values()):
            raise ApiError(500, "\n".join([*lines, "healthz check failed"]) + "\n")
        if request.query.get("verbose") is None:
            await respond_bytes(stream, b"ok")
        else:
            body = "\n".join([*lines, "healthz check passed"]) + "\n"
            await respond_bytes(stream, body.encode())

    async def handle_one(self, request: ApiRequest, stream: Stream) -> None:
        """Answer for one check alone.

        Raises:
            ApiError: 404 for an unknown check, 500 when it failed.
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        check = self._checks.get(request.parameters["check"])
        if check is None:
            raise ApiError(404, "404 page not found\n")
        problem = await _run(check)
        if problem is not None:
            raise ApiError(500, f"internal server error: {problem}\n")
        await respond_bytes(stream, b"ok")


async def _run(check: HealthCheck) -> str | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            return await check()
    except TimeoutError:
        return f"no answer within {CHECK_TIMEOUT_S:g} s"
    except Exception as exc:
        logger.exception("health check broke")
        return f"{type(exc).__name__}: {exc}"
