"""Keys and certificates."""

from __future__ import annotations

import datetime
import stat
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from devcluster import pki

if TYPE_CHECKING:
    from pathlib import Path

SERVER = pki.Subject(
    common_name="kube-apiserver", dns_names=("kubernetes",), addresses=("10.98.0.2",), server=True
)


def test_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    """Keys have mode 0600 and are not made twice."""
    file = tmp_path / "sub" / "a.key"
    first = pki.ensure_key(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert pki.ensure_key(file).private_numbers() == first.private_numbers()
    assert file.read_bytes().startswith(b"-----BEGIN EC PRIVATE KEY-----")


def test_key_of_another_kind_is_refused(tmp_path: Path) -> None:
    """A file that holds something else is not replaced."""
    from cryptography.hazmat.primitives.asymmetric import ed25519

    file = tmp_path / "a.key"
    file.write_bytes(
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with pytest.raises(TypeError, match=r"a\.key"):
        pki.ensure_key(file)


def test_server_certificate_verifies_for_its_names_alone(tmp_path: Path) -> None:
    """A strict verifier takes it for its address and name, and for no other."""
    authority = pki.ensure_authority(pki.key_pair(tmp_path, "ca"), "test-ca")
    pair = pki.ensure_certificate(pki.key_pair(tmp_path, "server"), SERVER, issuer=authority)
    builder = PolicyBuilder().store(Store([authority.certificate()]))
    builder.build_server_verifier(x509.DNSName("kubernetes")).verify(pair.certificate(), [])
    with pytest.raises(x509.verification.VerificationError):
        builder.build_server_verifier(x509.DNSName("other")).verify(pair.certificate(), [])


def test_certificate_carries_group_and_usage(tmp_path: Path) -> None:
    """A client's certificate names its user and group, and is good for clients alone."""
    authority = pki.ensure_authority(pki.key_pair(tmp_path, "ca"), "test-ca")
    subject = pki.Subject(common_name="system:node:a", organization="system:nodes", client=True)
    pair = pki.ensure_certificate(pki.key_pair(tmp_path, "edge"), subject, issuer=authority)
    certificate = pair.certificate()
    assert certificate.subject.rfc4514_string() == "CN=system:node:a,O=system:nodes"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_certificate_that_says_the_same_is_kept(tmp_path: Path) -> None:
    """A second call changes nothing on disk."""
    authority = pki.ensure_authority(pki.key_pair(tmp_path, "ca"), "test-ca")
    pair = pki.ensure_certificate(pki.key_pair(tmp_path, "s"), SERVER, issuer=authority)
    before = pair.certificate_file.read_bytes(), authority.certificate_file.read_bytes()
    pki.ensure_authority(authority, "test-ca")
    pki.ensure_certificate(pair, SERVER, issuer=authority)
    assert (pair.certificate_file.read_bytes(), authority.certificate_file.read_bytes()) == before


def test_certificate_is_made_again_when_it_must_say_something_else(tmp_path: Path) -> None:
    """Another address, another CA and a nearing end each replace it."""
    authority = pki.ensure_authority(pki.key_pair(tmp_path, "ca"), "test-ca")
    pair = pki.ensure_certificate(pki.key_pair(tmp_path, "s"), SERVER, issuer=authority)
    first = pair.certificate().serial_number
    moved = pki.Subject(common_name="kube-apiserver", addresses=("10.98.1.2",), server=True)
    second = pki.ensure_certificate(pair, moved, issuer=authority).certificate().serial_number
    assert second != first
    other = pki.ensure_authority(pki.key_pair(tmp_path, "other-ca"), "other-ca")
    renewed = pki.ensure_certificate(pair, moved, issuer=other).certificate()
    assert renewed.serial_number != second
    renewed.verify_directly_issued_by(other.certificate())


def test_certificate_near_its_end_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month before the end is the time."""
    authority = pki.ensure_authority(pki.key_pair(tmp_path, "ca"), "test-ca")
    pair = pki.ensure_certificate(pki.key_pair(tmp_path, "s"), SERVER, issuer=authority)
    first = pair.certificate().serial_number
    monkeypatch.setattr(pki, "RENEW_BEFORE", pki.LIFETIME + datetime.timedelta(days=1))
    assert (
        pki.ensure_certificate(pair, SERVER, issuer=authority).certificate().serial_number != first
    )


def test_private_file_replaces_an_open_one(tmp_path: Path) -> None:
    """A file that others may read becomes private with its new content."""
    file = tmp_path / "token"
    file.write_text("old")
    file.chmod(0o644)
    pki.write_private(file, b"new")
    assert file.read_text() == "new"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
