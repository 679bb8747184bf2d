"""Contexts are made from memory; each fault says what it is."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from provider.serving.tls import CredentialError, server_context, subject_of
from tests.fakes.site_pki import SitePki

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def pki(tmp_path: Path) -> SitePki:
    """Make one site's certificates."""
    return SitePki(tmp_path / "site", site="site-a")


def load(pki: SitePki, **changes: bytes) -> ssl.SSLContext:
    """Load the server's certificate, some parts of it changed."""
    parts = {
        "certificate_pem": pki.server_certificate_file.read_bytes(),
        "key_pem": pki.server_key_file.read_bytes(),
        "client_ca_pem": pki.ca_file.read_bytes(),
        **changes,
    }
    return server_context(**parts)


def test_good_parts_are_taken(pki: SitePki) -> None:
    """TLS 1.2 or newer, no tickets, certificates verified where they are given."""
    context = load(pki)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_OPTIONAL
    assert context.options & ssl.OP_NO_TICKET


def test_nothing_stays_open(pki: SitePki) -> None:
    """The provider makes a context for each new certificate, for years."""
    load(pki)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        load(pki)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_key_of_another_certificate_is_told(pki: SitePki) -> None:
    """A swapped key is told as what it is."""
    with pytest.raises(CredentialError, match="key is not that of the serving certificate"):
        load(pki, key_pem=pki.client_key_file.read_bytes())


@pytest.mark.parametrize("part", ["certificate_pem", "key_pem"])
@pytest.mark.parametrize("content", [b"", b"junk", "ä".encode()])
def test_what_is_no_certificate_is_told(pki: SitePki, part: str, content: bytes) -> None:
    """Text that is no PEM is neither a certificate nor a key."""
    with pytest.raises(CredentialError, match="no serving certificate with its private key"):
        load(pki, **{part: content})


def test_an_encrypted_key_is_told(pki: SitePki) -> None:
    """And nobody is asked for its password on a terminal."""
    key = load_pem_private_key(pki.server_key_file.read_bytes(), password=None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    with pytest.raises(CredentialError, match="no serving certificate with its private key"):
        load(pki, key_pem=encrypted)


def test_without_a_ca_there_is_a_context_all_the_same(pki: SitePki) -> None:
    """Nobody's certificate is accepted then; those who show none are for the requests."""
    assert load(pki, client_ca_pem=b"").verify_mode is ssl.CERT_OPTIONAL


@pytest.mark.parametrize("content", [b"junk", "ä".encode()])
def test_what_is_no_ca_is_told(pki: SitePki, content: bytes) -> None:
    """Without a CA nobody could be verified."""
    with pytest.raises(CredentialError, match="no CA certificate in PEM form"):
        load(pki, client_ca_pem=content)


def test_subjects_keep_repeated_attributes() -> None:
    """Two common names are two, not the last."""
    subject = ((("organizationName", "o"),), (("commonName", "a"), ("commonName", "b")))
    assert subject_of({"subject": subject}) == {
        "organizationName": ("o",),
        "commonName": ("a", "b"),
    }
    assert subject_of({}) == {}
