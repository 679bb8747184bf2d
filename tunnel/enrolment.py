"""What both ends say to each other on ``/ca.crt`` and ``/edge.crt``: paths, headers, refusals.

GET  /ca.crt     the site's CAs as PEM, the one that signs now first; no client certificate
POST /edge.crt   a CSR as PEM, answered with an ``IssuedCertificate``; one of three proofs:
                   joining    Authorization: Bearer <the token's JWT>
                   renewal    the client certificate of this very connection
                   recovery   Edgelet-Recovery, and the expired certificate after the CSR
GET  /edge.crt   200 when the client certificate of this connection is accepted
else             a ``Refusal`` with the status that fits
"""

from __future__ import annotations

import enum

import msgspec

CA_PATH = "/ca.crt"
CERTIFICATE_PATH = "/edge.crt"
TOKEN_SCHEME = "Bearer"  # noqa: S105 - the name of a scheme
RECOVERY_HEADER = "Edgelet-Recovery"
PEM_TYPE = "application/x-pem-file"
# A CSR and a certificate; whoever sends more is refused before it is read.
MAX_REQUEST_BYTES = 16 * 1024
MAX_ANSWER_BYTES = 64 * 1024
_RECOVERY_PREFIX = b"edgelet certificate recovery v1\x00"


class RefusalReason(enum.StrEnum):
    """Why there is no certificate, or no tunnel; the edge tells each with what to do about it."""

    BAD_REQUEST = "BadRequest"
    BAD_TOKEN = "BadToken"  # noqa: S105
    TOKEN_EXPIRED = "TokenExpired"  # noqa: S105
    TOKEN_USED = "TokenUsed"  # noqa: S105
    TOKEN_REVOKED = "TokenRevoked"  # noqa: S105
    OTHER_SITE = "OtherSite"
    SITE_HAS_EDGE = "SiteHasEdge"
    CERTIFICATE_REVOKED = "CertificateRevoked"
    CERTIFICATE_SUPERSEDED = "CertificateSuperseded"
    CERTIFICATE_UNKNOWN = "CertificateUnknown"
    CERTIFICATE_EXPIRED = "CertificateExpired"
    NO_CERTIFICATE = "NoCertificate"
    DUPLICATE_SITE = "DuplicateSite"
    RECOVERY_TOO_LATE = "RecoveryTooLate"
    TOO_MANY_REQUESTS = "TooManyRequests"
    UNAVAILABLE = "Unavailable"


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer that is no success, JSON.

    Attributes:
        reason: One of ``RefusalReason``; a newer provider may have more.
        message: One sentence.
    """

    reason: str
    message: str


class IssuedCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """The body of an answer to POST, JSON.

    Attributes:
        certificate: The client certificate, PEM.
        authorities: The CAs to trust from now on, PEM, at most MAX_ANSWER_BYTES with all else.
    """

    certificate: str
    authorities: str


def recovery_message(csr_der: bytes) -> bytes:
    """Return what the expired certificate's key signs (SHA-256): it vouches for one CSR only.

    Args:
        csr_der: The whole CSR, DER. Its own signature proves the new key.
    """
    return _RECOVERY_PREFIX + csr_der
