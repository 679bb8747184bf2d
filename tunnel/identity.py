"""Names that a site's certificates carry, how a site name is read from them, and the join token.

A site's client certificate is that of its Node (``CN=system:node:<site>, O=system:nodes``); the
provider's server certificate names ``provider.<site>.edgelet.internal``, which is also what the
edge sends as SNI. Identity is taken from the certificate alone, never from a header.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NewType

from tunnel.errors import IdentityError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SiteName = NewType("SiteName", str)

NODE_USER_PREFIX = "system:node:"
NODE_GROUP = "system:nodes"
# A DNS label: the site is a Node name, a label value and a part of a DNS name at once (RFC 1123
# §2.1).
_TOKEN = re.compile(r"([0-9a-f]{64})\.([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)")
MAX_TOKEN_LENGTH = 2048
# The claim of a join token's JWT that names the site; id and expiry are the registered ``jti`` and
# ``exp`` (RFC 7519 §4.1).
TOKEN_SITE_CLAIM = "site"  # noqa: S105
_SITE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def parse_site_name(text: str) -> SiteName:
    """Accept a site name: an RFC 1123 label of at most 63 characters.

    Raises:
        IdentityError: The text is no such label.
    """
    if not _SITE.fullmatch(text):
        raise IdentityError(
            f"site name {text!r} is not a DNS label (a-z, 0-9 and '-', at most 63 characters)"
        )
    return SiteName(text)


def node_user_name(site: SiteName) -> str:
    """Return the user name of the site's Node, as the Node authorizer knows it."""
    return NODE_USER_PREFIX + site


def provider_dns_name(site: SiteName) -> str:
    """Return the fixed DNS name that the provider's certificate carries for this site."""
    return f"provider.{site}.edgelet.internal"


def site_of_subject(subject: Mapping[str, Sequence[str]]) -> SiteName:
    """Read the site from the subject of a verified client certificate.

    Args:
        subject: Attribute name to its values, as ``commonName`` and ``organizationName``.

    Raises:
        IdentityError: The subject is not exactly one ``system:node:<site>`` in the group
            ``system:nodes``.
    """
    names = list(subject.get("commonName", ()))
    groups = list(subject.get("organizationName", ()))
    if len(names) != 1 or not names[0].startswith(NODE_USER_PREFIX):
        raise IdentityError("the client certificate's common name is not system:node:<site>")
    if groups != [NODE_GROUP]:
        raise IdentityError("the client certificate's organization is not exactly system:nodes")
    return parse_site_name(names[0].removeprefix(NODE_USER_PREFIX))


def site_of_peer_certificate(certificate: Mapping[str, Any] | None) -> SiteName:
    """Read the site from a verified certificate as ``ssl.SSLSocket.getpeercert()`` gives it.

    Args:
        certificate: Its ``subject`` is a tuple of relative names, each a tuple of name-value pairs.
            None when the peer showed none.

    Raises:
        IdentityError: There is no certificate, or it is no site's.
    """
    if not certificate:
        raise IdentityError("the client showed no certificate")
    subject: dict[str, list[str]] = {}
    for relative_name in certificate.get("subject", ()):
        for name, value in relative_name:
            subject.setdefault(name, []).append(value)
    return site_of_subject(subject)


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinToken:
    """A join token, ``<sha256 of the CA certificate>.<JWT>``.

    Attributes:
        ca_pin: SHA-256 of the CA certificate's DER, lower-case hexadecimal.
        jwt: What the provider checks; a secret.
    """

    ca_pin: str
    jwt: str

    def __str__(self) -> str:
        """Return the token as it is handed to people."""
        return f"{self.ca_pin}.{self.jwt}"

    def __repr__(self) -> str:
        """Leave the secret out: values end up in logs and tracebacks."""
        return f"JoinToken(ca_pin={self.ca_pin!r}, jwt=...)"


def parse_join_token(text: str) -> JoinToken:
    """Accept a join token by its shape; surrounding white space is ignored.

    Raises:
        IdentityError: It has another shape; the message does not repeat it.
    """
    text = text.strip()
    match = _TOKEN.fullmatch(text) if len(text) <= MAX_TOKEN_LENGTH else None
    if match is None:
        raise IdentityError(
            "this is no join token: it has the form <64 hexadecimal digits>.<JWT>, as printed by "
            "edgelet-provider token create"
        )
    return JoinToken(ca_pin=match[1], jwt=match[2])


def ca_pin(ca_certificate_der: bytes) -> str:
    """Return the hash by which a join token names its CA certificate."""
    return hashlib.sha256(ca_certificate_der).hexdigest()


def is_pinned(ca_certificate_der: bytes, *, pin: str) -> bool:
    """Whether this is the CA certificate that a token names."""
    return hmac.compare_digest(ca_pin(ca_certificate_der), pin)


def claimed_site(token: JoinToken) -> SiteName:
    """Read the site that a token names; the edge needs it to know which name to ask for.

    Nothing is checked: the token's signature is the provider's to check.

    Raises:
        IdentityError: The token is damaged.
    """
    payload = token.jwt.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (binascii.Error, ValueError, RecursionError) as exc:
        raise IdentityError("this join token is damaged: its claims cannot be read") from exc
    site = claims.get(TOKEN_SITE_CLAIM) if isinstance(claims, dict) else None
    if not isinstance(site, str):
        raise IdentityError("this join token is damaged: it names no site")
    return parse_site_name(site)
