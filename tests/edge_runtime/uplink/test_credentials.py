"""The client certificate: what is wrong with it is said before the first dial."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_runtime.uplink.credentials import Credentials, CredentialsError
from tests.fakes.site_pki import SitePki
from tunnel.identity import SiteName

if TYPE_CHECKING:
    from pathlib import Path

SITE = SiteName("site-a")


@pytest.fixture
def pki(tmp_path: Path) -> SitePki:
    """A site's CA and its files."""
    return SitePki(tmp_path, site="site-a")


def credentials(pki: SitePki) -> Credentials:
    """Where the files lie."""
    return Credentials(
        site=SITE,
        ca_certificate_file=str(pki.ca_file),
        certificate_file=str(pki.client_certificate_file),
        key_file=str(pki.client_key_file),
    )


def test_the_sites_own_certificate_is_accepted(pki: SitePki) -> None:
    """And gives a context for a dial."""
    credentials(pki).verify()

    assert credentials(pki).tls_context().verify_mode.name == "CERT_REQUIRED"
    assert credentials(pki).server_hostname == "provider.site-a.edgelet.internal"


def test_certificate_of_another_ca_is_named(pki: SitePki, tmp_path: Path) -> None:
    """Key and certificate fit, but the provider would refuse them."""
    other = SitePki(tmp_path / "other", site="site-a")
    mixed = Credentials(
        site=SITE,
        ca_certificate_file=str(pki.ca_file),
        certificate_file=str(other.client_certificate_file),
        key_file=str(other.client_key_file),
    )

    with pytest.raises(
        CredentialsError, match=r"client\.crt is not accepted by the CA in .*ca\.crt"
    ):
        mixed.verify()


def test_key_of_another_certificate_is_named(pki: SitePki, tmp_path: Path) -> None:
    """A copy of one file without the other."""
    other = SitePki(tmp_path / "other", site="site-a")
    pki.client_key_file.write_bytes(other.client_key_file.read_bytes())

    with pytest.raises(CredentialsError, match=r"client\.key is not the key of the certificate"):
        credentials(pki).verify()


def test_certificate_of_another_site_is_named(pki: SitePki, tmp_path: Path) -> None:
    """Signed by the right CA, but for another name."""
    pki.issue_client(site="site-b")

    with pytest.raises(CredentialsError, match="is for system:node:site-b, not for"):
        credentials(pki).verify()


def test_certificate_for_a_server_is_refused(pki: SitePki) -> None:
    """The provider accepts client certificates alone."""
    pki.issue_client(site="site-a", usage=ExtendedKeyUsageOID.SERVER_AUTH)

    with pytest.raises(CredentialsError, match="is not accepted by the CA"):
        credentials(pki).verify()


def test_certificate_of_another_group_is_refused(pki: SitePki) -> None:
    """The Node authorizer knows system:nodes only."""
    pki.issue_client(site="site-a", group="system:masters")

    with pytest.raises(CredentialsError, match="organization is not exactly system:nodes"):
        credentials(pki).verify()


@pytest.mark.parametrize("name", ["ca_file", "client_certificate_file", "client_key_file"])
def test_missing_file_is_named(pki: SitePki, name: str) -> None:
    """With the reason of the operating system."""
    path = getattr(pki, name)
    path.unlink()

    with pytest.raises(CredentialsError, match=rf"cannot read {path}: No such file"):
        credentials(pki).verify()


def test_file_without_a_certificate_is_named(pki: SitePki) -> None:
    """An empty or foreign CA file."""
    pki.ca_file.write_text("nothing\n")

    with pytest.raises(CredentialsError, match=r"ca\.crt holds no CA certificate"):
        credentials(pki).verify()


def test_encrypted_key_does_not_ask_the_terminal(pki: SitePki) -> None:
    """A service has none, and would hang."""
    key = ec.generate_private_key(ec.SECP256R1())
    pki.client_key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )

    with pytest.raises(CredentialsError, match=r"client\.key is not the key"):
        credentials(pki).verify()


def test_certificate_is_read_again_for_each_context(pki: SitePki, tmp_path: Path) -> None:
    """A renewed certificate needs no restart."""
    held = credentials(pki)
    held.tls_context()
    pki.client_certificate_file.unlink()

    with pytest.raises(CredentialsError):
        held.tls_context()


def test_names_of_the_test_pki_are_what_they_say(pki: SitePki) -> None:
    """The fixture itself: a subject of the Node's form."""
    certificate = x509.load_pem_x509_certificate(pki.client_certificate_file.read_bytes())

    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert names[0].value == "system:node:site-a"
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
