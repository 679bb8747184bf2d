"""Errors of the Kubernetes API.

KubeError
├── CredentialsError        kubeconfig or service account that cannot be used; nothing was sent
└── ApiError                the API server's answer; carries status, reason and message
    ├── BadRequest          400, and every other 4xx that has no class of its own
    ├── Unauthorized        401
    ├── Forbidden           403
    ├── NotFound            404
    ├── Conflict            409
    │   └── AlreadyExists   409 on create
    ├── Gone                410: the resource version is too old, list again
    ├── Invalid             422
    ├── TooManyRequests     429
    └── Unavailable         5xx, no connection, no answer in time, or an answer that is no JSON
"""

from __future__ import annotations

from http import HTTPStatus
from typing import ClassVar


class KubeError(Exception):
    """Base of everything that provider.kube raises."""


class CredentialsError(KubeError):
    """The kubeconfig or the service account's files cannot be used."""


class ApiError(KubeError):
    """The API server refused, or could not be asked.

    Attributes:
        is_retryable: Whether the same request may succeed later without a change of its content.
        status: HTTP status; 0 when there was no answer.
        reason: Machine-readable ``reason`` of the Status object, or "" without one.
        message: One sentence for a person.
        retry_after_s: What the server asked for in Retry-After, or None.
    """

    is_retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, status: int, reason: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s


class BadRequest(ApiError):
    """The request cannot be understood; the bug is ours."""


class Unauthorized(ApiError):
    """The credentials are not (or no longer) accepted; a rotated token may be."""

    is_retryable = True


class Forbidden(ApiError):
    """The identity may not do this.

    Retryable: the Node authorizer learns of a new pod's references only after a moment.
    """

    is_retryable = True


class NotFound(ApiError):
    """The object does not exist."""


class Conflict(ApiError):
    """The object's UID or resource version is not the one that was asked for."""


class AlreadyExists(Conflict):
    """An object of this name exists."""


class Gone(ApiError):
    """The resource version is too old to continue from."""


class Invalid(ApiError):
    """The object breaks a rule of the API."""


class TooManyRequests(ApiError):
    """The server asks for patience."""

    is_retryable = True


class Unavailable(ApiError):
    """The server could not be reached, failed, or gave no usable answer in time."""

    is_retryable = True


_CLASSES: dict[int, type[ApiError]] = {
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.GONE: Gone,
    HTTPStatus.UNPROCESSABLE_ENTITY: Invalid,
    HTTPStatus.TOO_MANY_REQUESTS: TooManyRequests,
}


def api_error(
    message: str, *, status: int, reason: str = "", retry_after_s: float | None = None
) -> ApiError:
    """Return the error of the class that fits an answer's HTTP status."""
    kind = _CLASSES.get(status)
    if kind is Conflict and reason == "AlreadyExists":
        kind = AlreadyExists
    if kind is None:
        is_refusal = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
        kind = BadRequest if is_refusal else Unavailable
    return kind(message, status=status, reason=reason, retry_after_s=retry_after_s)
