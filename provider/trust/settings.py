"""What can be configured of a site's trust, and to whom it reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

DEFAULT_CERTIFICATE_LIFETIME_S: Final = 30 * 86400.0
DEFAULT_RECOVERY_GRACE_S: Final = 90 * 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustSettings:
    """What can be configured.

    Attributes:
        namespace: Where the site's Secrets are.
        serving_names: DNS names or IP addresses that the server certificate carries besides
            ``provider.<site>.edgelet.internal``.
        certificate_lifetime_s: Of an edge's certificate.
        recovery_grace_s: How long after its expiry an edge's certificate may still be recovered.
        serving_lifetime_s: Of the server certificate; renewed at 70 % of it.
    """

    namespace: str
    serving_names: tuple[str, ...] = ()
    certificate_lifetime_s: float = DEFAULT_CERTIFICATE_LIFETIME_S
    recovery_grace_s: float = DEFAULT_RECOVERY_GRACE_S
    serving_lifetime_s: float = 90 * 86400.0


class Report(Protocol):
    """Takes a Warning event about the site's Node."""

    def __call__(self, *, reason: str, message: str) -> None:
        """Record it; must not block."""
