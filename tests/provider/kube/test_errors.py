"""Which error class stands for which answer."""

from __future__ import annotations

import pytest

from provider.kube.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    api_error,
)


@pytest.mark.parametrize(
    ("status", "reason", "kind", "retryable"),
    [
        (400, "BadRequest", BadRequest, False),
        (401, "Unauthorized", Unauthorized, True),
        (403, "Forbidden", Forbidden, True),
        (404, "NotFound", NotFound, False),
        (405, "MethodNotAllowed", BadRequest, False),
        (409, "Conflict", Conflict, False),
        (409, "AlreadyExists", AlreadyExists, False),
        (410, "Expired", Gone, False),
        (422, "Invalid", Invalid, False),
        (429, "TooManyRequests", TooManyRequests, True),
        (500, "InternalError", Unavailable, True),
        (504, "Timeout", Unavailable, True),
        (307, "", Unavailable, True),
    ],
)
def test_status_chooses_the_class(
    status: int, reason: str, kind: type[ApiError], retryable: bool
) -> None:
    """Every status has one class, and says whether trying again makes sense."""
    error = api_error("why", status=status, reason=reason, retry_after_s=2.0)
    assert type(error) is kind
    assert (error.status, error.reason, error.retry_after_s) == (status, reason, 2.0)
    assert error.is_retryable is retryable
    assert str(error) == "why"
