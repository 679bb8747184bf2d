"""What a CSR may ask for."""

from __future__ import annotations

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from provider.trust.certificate_request import key_hash, parse_certificate_request
from provider.trust.errors import EnrolmentRefused
from tests.fakes.edge_requests import csr_pem, new_key, node_name
from tunnel.enrolment import MAX_REQUEST_BYTES, RefusalReason
from tunnel.identity import SiteName

SITE = SiteName("site-a")


def reason_of(pem: bytes) -> RefusalReason:
    """Return why a CSR is refused."""
    with pytest.raises(EnrolmentRefused) as caught:
        parse_certificate_request(pem, site=SITE)
    return caught.value.reason


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=["P-256", "P-384", "RSA-2048"],
)
def test_a_good_request_is_accepted(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    """With the keys that TLS 1.2 and every edge can use."""
    request = parse_certificate_request(csr_pem(key), site=SITE)
    assert request.public_key == key.public_key()
    assert request.key_hash == key_hash(key.public_key())
    assert x509.load_der_x509_csr(request.der).public_key() == key.public_key()


def test_the_order_of_the_subject_is_free() -> None:
    """Libraries differ."""
    subject = x509.Name(list(reversed(list(node_name("site-a")))))
    parse_certificate_request(csr_pem(new_key(), subject=subject), site=SITE)


@pytest.mark.parametrize(
    "subject",
    [
        node_name("site-b"),
        node_name("site-a", group="system:masters"),
        x509.Name([x509.NameAttribute(NameOID.DOMAIN_COMPONENT, "site-a")]),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "system:node:site-a")]),
        x509.Name(
            [*node_name("site-a"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters")]
        ),
        x509.Name([*node_name("site-a"), *node_name("site-b")]),
        x509.Name([*node_name("site-a"), x509.NameAttribute(NameOID.COUNTRY_NAME, "DE")]),
        x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "system:node:site-a"),
            ]
        ),
    ],
    ids=["site", "group", "another", "no group", "two groups", "both", "country", "unit"],
)
def test_another_subject_is_refused(subject: x509.Name) -> None:
    """It must be exactly the site's."""
    assert reason_of(csr_pem(new_key(), subject=subject)) is RefusalReason.OTHER_SITE


def test_requested_extensions_are_not_looked_at() -> None:
    """Other names, a CA, any use: nothing of it is in what is accepted."""
    pem = csr_pem(
        new_key(),
        extensions=[
            x509.SubjectAlternativeName([x509.DNSName("provider.site-b.edgelet.internal")]),
            x509.BasicConstraints(ca=True, path_length=None),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        ],
    )
    request = parse_certificate_request(pem, site=SITE)
    assert set(request.__slots__) == {"public_key", "key_hash", "der"}


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 1024),  # noqa: S505 - it is to be refused
        rsa.generate_private_key(3, 2048),
        rsa.generate_private_key(65537, 4104),
        ec.generate_private_key(ec.SECP256K1()),
        ec.generate_private_key(ec.SECP521R1()),
        dsa.generate_private_key(2048),
    ],
    ids=["RSA-1024", "exponent 3", "RSA-4104", "secp256k1", "P-521", "DSA"],
)
def test_other_keys_are_refused(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey,
) -> None:
    """Weak, dear, or not usable in TLS 1.2."""
    assert reason_of(csr_pem(key)) is RefusalReason.BAD_REQUEST


def test_an_ed25519_key_is_refused() -> None:
    """It cannot be used everywhere."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(node_name("site-a"))
    pem = builder.sign(ed25519.Ed25519PrivateKey.generate(), None).public_bytes(
        serialization.Encoding.PEM
    )
    assert reason_of(pem) is RefusalReason.BAD_REQUEST


def test_a_bad_signature_is_refused() -> None:
    """Whoever asks must have the key."""
    der = x509.load_pem_x509_csr(csr_pem(new_key())).public_bytes(serialization.Encoding.DER)
    key, other = new_key().public_key(), new_key()
    stolen = x509.load_pem_x509_csr(csr_pem(other)).public_bytes(serialization.Encoding.DER)
    spki = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    swapped = stolen.replace(other.public_key().public_bytes(*spki), key.public_bytes(*spki))
    assert swapped != stolen
    for changed in (swapped, der[:-1] + bytes([der[-1] ^ 1])):
        assert reason_of(as_pem(changed)) is RefusalReason.BAD_REQUEST


def test_a_weak_hash_is_refused() -> None:
    """Also where the signature is right."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(node_name("site-a"))
    pem = builder.sign(new_key(), hashes.SHA224()).public_bytes(serialization.Encoding.PEM)
    assert reason_of(pem) is RefusalReason.BAD_REQUEST


def test_a_giant_request_is_refused_unread() -> None:
    """Before anything is decoded."""
    many = [
        x509.UnrecognizedExtension(x509.ObjectIdentifier(f"1.2.3.{number}"), b"x" * 1000)
        for number in range(20)
    ]
    pem = csr_pem(new_key(), extensions=many)
    assert len(pem) > MAX_REQUEST_BYTES
    assert reason_of(pem) is RefusalReason.BAD_REQUEST
    assert reason_of(b"-----BEGIN CERTIFICATE REQUEST-----\n" + b"A" * (2 << 20)) is (
        RefusalReason.BAD_REQUEST
    )


@given(st.binary(max_size=400))
def test_junk_is_refused(data: bytes) -> None:
    """As it is, and as PEM."""
    assert reason_of(data) is RefusalReason.BAD_REQUEST
    assert reason_of(as_pem(data)) is RefusalReason.BAD_REQUEST


DER = x509.load_pem_x509_csr(csr_pem(new_key())).public_bytes(serialization.Encoding.DER)


@settings(max_examples=300)
@given(index=st.integers(0, len(DER) - 1), value=st.integers(1, 255))
def test_any_changed_byte_is_refused(index: int, value: int) -> None:
    """Wherever it is; and what cannot be parsed is no accident."""
    changed = bytearray(DER)
    changed[index] ^= value
    assert reason_of(as_pem(bytes(changed))) in {
        RefusalReason.BAD_REQUEST,
        RefusalReason.OTHER_SITE,
    }


def as_pem(der: bytes) -> bytes:
    """Wrap DER as a CSR in PEM form."""
    text = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE REQUEST-----\n%b-----END CERTIFICATE REQUEST-----\n" % text
