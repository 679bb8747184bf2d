"""Errors of trust.

TrustError                  the site's trust cannot be read, made or changed; one sentence
├── SecretUnavailable       the API server cannot be asked now; the same may work later
├── SecretMissing           the manifests of the site were not applied
├── SecretCorrupt           a Secret holds what we did not write; it is never overwritten
└── NotPossible             what an operator asked for cannot be; says why
CertificateRefused          a client certificate that is not accepted; carries the reason
EnrolmentRefused            there is no new certificate; carries status and reason
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from http import HTTPStatus

    from tunnel.enrolment import RefusalReason


class TrustError(Exception):
    """The site's trust cannot be had; the message is one sentence and names the Secret."""


class SecretUnavailable(TrustError):
    """The API server could not be asked, or there were too many conflicts."""


class SecretMissing(TrustError):
    """The Secret does not exist: we may not create it, it comes with the manifests."""


class SecretCorrupt(TrustError):
    """The Secret holds something that cannot be ours; a person must look at it."""


class NotPossible(TrustError):
    """An operator's wish that cannot be carried out; nothing was changed."""


class CertificateRefused(Exception):
    """A client certificate that this site does not accept.

    Attributes:
        reason: What the edge is told.
        message: One sentence.
    """

    def __init__(self, reason: RefusalReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class EnrolmentRefused(Exception):
    """A request for a certificate that gets none.

    Attributes:
        status: HTTP status.
        reason: What the edge is told.
        message: One sentence, without anything secret.
    """

    def __init__(self, status: HTTPStatus, reason: RefusalReason, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
