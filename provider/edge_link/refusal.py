"""What the edge port says to whom it does not serve: a status, and a reason that programs know."""

from __future__ import annotations

import math

import msgspec
from aiohttp import web

from tunnel.enrolment import Refusal, RefusalReason

JSON_TYPE = "application/json"


class Refused(Exception):
    """A request that gets nothing.

    Attributes:
        status: HTTP status.
        reason: What the edge acts on.
        retry_after_s: When it is worth to ask again; None where that is not known.
        allowed: The methods that there are, where the method was wrong.
    """

    def __init__(
        self,
        status: int,
        reason: RefusalReason,
        message: str,
        *,
        retry_after_s: float | None = None,
        allowed: str = "",
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.allowed = allowed


def unavailable(message: str) -> Refused:
    """Return the refusal of somebody who may come again later."""
    return Refused(503, RefusalReason.UNAVAILABLE, message)


def not_found() -> Refused:
    """Return the refusal of a path that there is not."""
    return Refused(404, RefusalReason.BAD_REQUEST, "404 page not found")


def refusal_answer(refused: Refused) -> web.Response:
    """Return the answer; the connection ends with it, whatever was still to come on it."""
    answer = answer_of(
        msgspec.json.encode(Refusal(reason=refused.reason, message=str(refused))),
        status=refused.status,
        content_type=JSON_TYPE,
    )
    if refused.retry_after_s is not None:
        answer.headers["Retry-After"] = str(math.ceil(refused.retry_after_s))
    if refused.allowed:
        answer.headers["Allow"] = refused.allowed
    return answer


def answer_of(body: bytes, *, content_type: str, status: int = 200) -> web.Response:
    """Return an answer that nobody keeps, with the connection's end behind it."""
    answer = web.Response(
        body=body,
        status=status,
        content_type=content_type,
        # Not which libraries there are.
        headers={"Cache-Control": "no-store", "Server": "edgelet-provider"},
    )
    answer.force_close()
    return answer
