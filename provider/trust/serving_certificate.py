"""The edge port's server certificate: made from the CA, kept in memory only, renewed in time."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from provider.trust.authority import sign_server_certificate
from provider.trust.authority_secret import certificates_pem
from provider.trust.errors import TrustError
from tunnel.identity import SiteName, provider_dns_name

if TYPE_CHECKING:
    from datetime import datetime

    from provider.trust.authority import Authority

# Of its lifetime; what is left is for edges whose clock is ahead.
RENEWED_AT: Final = 0.7


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingCertificate:
    """A server certificate and its key.

    Attributes:
        chain_pem: The certificate, then what edges of an older CA need.
        key_pem: Its key; a secret.
        renew_at: When the next one is due, UTC.
        not_after: Its end, UTC.
    """

    chain_pem: bytes = field(repr=False)
    key_pem: bytes = field(repr=False)
    renew_at: datetime
    not_after: datetime


def make_serving_certificate(
    authority: Authority,
    site: SiteName,
    *,
    names: tuple[str, ...],
    now: datetime,
    lifetime_s: float,
) -> ServingCertificate:
    """Make a server certificate with a new key.

    Args:
        authority: Signs it.
        site: Its fixed DNS name is this site's.
        names: More DNS names or IP addresses.
        now: UTC.
        lifetime_s: From now.

    Raises:
        TrustError: One of the names cannot be in a certificate.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    dns_name = provider_dns_name(site)
    certificate = sign_server_certificate(
        authority,
        key.public_key(),
        names=[x509.DNSName(dns_name), *(_general_name(name) for name in names)],
        common_name=dns_name,
        now=now,
        lifetime_s=lifetime_s,
    )
    not_after = certificate.not_valid_after_utc
    return ServingCertificate(
        chain_pem=certificates_pem([certificate, *authority.server_chain(now)]),
        key_pem=key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        renew_at=now + (not_after - now) * RENEWED_AT,
        not_after=not_after,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as exc:
        raise TrustError(f"edgeServingNames: {name!r} is no DNS name and no IP address") from exc
