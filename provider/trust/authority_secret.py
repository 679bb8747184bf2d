"""The Secret that holds the site's CA, as values.

ca.crt           the CA that signs now; behind it, during an overlap, its cross-signed copy
ca.key           its key, PKCS #8
token.key        32 bytes
previous-ca.crt  the predecessor, during an overlap
overlap-until    when the overlap ends, RFC 3339
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from provider.trust.authority import Authority, authority_name
from provider.trust.errors import SecretCorrupt
from provider.trust.token_signature import TOKEN_KEY_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tunnel.identity import SiteName

CA_FIELD: Final = "ca.crt"
CA_KEY_FIELD: Final = "ca.key"
TOKEN_KEY_FIELD: Final = "token.key"  # noqa: S105 - a name
PREVIOUS_FIELD: Final = "previous-ca.crt"
OVERLAP_FIELD: Final = "overlap-until"
_FIELDS = (CA_FIELD, CA_KEY_FIELD, TOKEN_KEY_FIELD, PREVIOUS_FIELD, OVERLAP_FIELD)


def decode_authority(data: Mapping[str, bytes], *, site: SiteName) -> Authority | None:
    """Read the CA from the Secret's data.

    Returns:
        None when the Secret holds nothing of ours: nobody has made a CA yet.

    Raises:
        SecretCorrupt: Some of it is there and cannot be used; the message names the field and
            repeats nothing of its content.
    """
    if not any(data.get(name) for name in _FIELDS):
        return None
    certificate, *others = _certificates(data, CA_FIELD)
    key = _key(data)
    if key.public_key() != certificate.public_key():
        raise _corrupt(f"{CA_KEY_FIELD} is not the key of {CA_FIELD}")
    if certificate.subject != authority_name(site):
        raise _corrupt(f"{CA_FIELD} is not a CA of the site {site}")
    token_key = data.get(TOKEN_KEY_FIELD, b"")
    if len(token_key) != TOKEN_KEY_BYTES:
        raise _corrupt(f"{TOKEN_KEY_FIELD} has not {TOKEN_KEY_BYTES} bytes")
    cross_signed, previous, until = None, None, None
    if data.get(PREVIOUS_FIELD) or data.get(OVERLAP_FIELD) or others:
        (previous,) = _certificates(data, PREVIOUS_FIELD)[:1]
        until = _moment(data.get(OVERLAP_FIELD, b""))
        cross_signed = _cross_signed(certificate, previous, others)
    return Authority(
        certificate=certificate,
        key=key,
        token_key=token_key,
        cross_signed=cross_signed,
        previous=previous,
        overlap_until=until,
    )


def encode_authority(data: Mapping[str, bytes], authority: Authority) -> dict[str, bytes]:
    """Return the Secret's data with this CA in it, and nothing left of another one."""
    changed = {name: value for name, value in data.items() if name not in _FIELDS}
    chain = [authority.certificate]
    if authority.cross_signed is not None:
        chain.append(authority.cross_signed)
    changed[CA_FIELD] = certificates_pem(chain)
    changed[CA_KEY_FIELD] = authority.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    changed[TOKEN_KEY_FIELD] = authority.token_key
    if authority.previous is not None and authority.overlap_until is not None:
        changed[PREVIOUS_FIELD] = certificates_pem([authority.previous])
        changed[OVERLAP_FIELD] = authority.overlap_until.astimezone(UTC).isoformat().encode()
    return changed


def certificates_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """Return certificates one after the other, PEM."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def _certificates(data: Mapping[str, bytes], name: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data.get(name, b""))
    except (ValueError, TypeError, x509.InvalidVersion) as exc:
        raise _corrupt(f"{name} holds no certificate in PEM form") from exc


def _key(data: Mapping[str, bytes]) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(data.get(CA_KEY_FIELD, b""), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Not "from exc": its text could repeat parts of a key.
        raise _corrupt(f"{CA_KEY_FIELD} holds no private key in PEM form") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _corrupt(f"{CA_KEY_FIELD} is no elliptic-curve key")
    return key


def _moment(text: bytes) -> datetime:
    try:
        moment = datetime.fromisoformat(text.decode())
    except ValueError as exc:
        raise _corrupt(f"{OVERLAP_FIELD} is no time") from exc
    if moment.tzinfo is None:
        raise _corrupt(f"{OVERLAP_FIELD} has no time zone")
    return moment


def _cross_signed(
    certificate: x509.Certificate, previous: x509.Certificate, others: list[x509.Certificate]
) -> x509.Certificate:
    for other in others:
        if other.public_key() == certificate.public_key() and _is_issued_by(other, previous):
            return other
    raise _corrupt(f"{CA_FIELD} holds no copy of the CA that {PREVIOUS_FIELD} signed")


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _corrupt(what: str) -> SecretCorrupt:
    return SecretCorrupt(
        f"the Secret edgelet-site-ca cannot be used: {what}; nothing was changed, restore it or "
        "empty it to have a new CA, after which the site must join again"
    )
