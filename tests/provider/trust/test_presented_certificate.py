"""A certificate as it was shown, and the proof of an old key."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from provider.trust.authority import make_authority, sign_edge_certificate
from provider.trust.errors import CertificateRefused, EnrolmentRefused
from provider.trust.presented_certificate import presented_for_recovery, presented_in_tls
from tests.fakes.edge_requests import new_key
from tunnel.enrolment import RefusalReason, recovery_message
from tunnel.identity import SiteName

if TYPE_CHECKING:
    from cryptography import x509

SITE = SiteName("site-a")
NOW = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)
CA = make_authority(SITE, now=NOW)
CSR = b"any CSR"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def certificate_of(key: Key | ed25519.Ed25519PrivateKey) -> x509.Certificate:
    """Issue a certificate."""
    return sign_edge_certificate(CA, SITE, key.public_key(), now=NOW, lifetime_s=60.0)


def signature_of(key: Key, message: bytes) -> bytes:
    """Sign as the edge does."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(message, ec.ECDSA(hashes.SHA256()))


@pytest.mark.parametrize(
    "key",
    [
        new_key(),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256", "P-384", "RSA"],
)
def test_the_old_key_vouches_for_a_request(key: Key) -> None:
    """And names the same certificate as TLS does."""
    certificate = certificate_of(key)
    shown = presented_for_recovery(
        certificate.public_bytes(Encoding.PEM),
        csr_der=CSR,
        signature=signature_of(key, recovery_message(CSR)),
    )
    assert shown == presented_in_tls(certificate.public_bytes(Encoding.DER))
    assert shown.serial == f"{certificate.serial_number:x}"


def refusal_of(pem: bytes, *, csr_der: bytes = CSR, signature: bytes = b"") -> RefusalReason:
    """Return why a recovery is refused."""
    with pytest.raises(EnrolmentRefused) as caught:
        presented_for_recovery(pem, csr_der=csr_der, signature=signature)
    return caught.value.reason


def test_a_proof_is_for_one_request() -> None:
    """Not for another CSR, of another key, or over other words."""
    key = new_key()
    pem = certificate_of(key).public_bytes(Encoding.PEM)
    good = signature_of(key, recovery_message(CSR))
    for csr_der, signature in (
        (b"another CSR", good),
        (CSR, signature_of(new_key(), recovery_message(CSR))),
        (CSR, signature_of(key, CSR)),
        (CSR, b""),
        (CSR, good + b"x"),
        (CSR, b"x" * 16384),
    ):
        assert refusal_of(pem, csr_der=csr_der, signature=signature) is RefusalReason.BAD_REQUEST


def test_another_kind_of_key_proves_nothing() -> None:
    """We never issued for one."""
    key = ed25519.Ed25519PrivateKey.generate()
    pem = certificate_of(key).public_bytes(Encoding.PEM)
    signature = key.sign(recovery_message(CSR))
    assert refusal_of(pem, signature=signature) is RefusalReason.BAD_REQUEST


@given(st.binary(max_size=400))
def test_junk_is_refused(data: bytes) -> None:
    """In either place."""
    assert refusal_of(data) is RefusalReason.BAD_REQUEST
    assert refusal_of(b"A" * (2 << 20)) is RefusalReason.BAD_REQUEST
    with pytest.raises(CertificateRefused):
        presented_in_tls(data)


DER = certificate_of(new_key()).public_bytes(Encoding.DER)


# A serial number that is not positive is read today and will be refused by a later cryptography.
@pytest.mark.filterwarnings("ignore:Parsed a serial number:Warning")
@given(index=st.integers(0, len(DER) - 1), value=st.integers(1, 255))
def test_a_changed_certificate_does_no_harm(index: int, value: int) -> None:
    """It names something, or is refused."""
    changed = bytearray(DER)
    changed[index] ^= value
    try:
        presented_in_tls(bytes(changed))
    except CertificateRefused as exc:
        assert exc.reason is RefusalReason.CERTIFICATE_UNKNOWN  # noqa: PT017 - either is right
