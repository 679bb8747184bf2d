"""The client certificate: what it says, and what is wrong with it, before the first dial."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_runtime.uplink.certificate_request import Wanted, make_request
from edge_runtime.uplink.credentials import Credentials, CredentialsError, read_certificate
from tests.fakes.enrolling_provider import EnrollingProvider
from tests.fakes.site_pki import SitePki
from tunnel.identity import SiteName

if TYPE_CHECKING:
    from pathlib import Path

SITE = SiteName("site-a")


@pytest.fixture
def pki(tmp_path: Path) -> SitePki:
    """A site's CA and its files."""
    return SitePki(tmp_path, site="site-a")


def test_the_sites_own_certificate_is_accepted(pki: SitePki) -> None:
    """And gives a context for a dial."""
    pki.credentials().facts()

    assert pki.credentials().tls_context().verify_mode.name == "CERT_REQUIRED"
    assert pki.credentials().server_hostname == "provider.site-a.edgelet.internal"


def test_certificate_of_another_ca_is_named(pki: SitePki, tmp_path: Path) -> None:
    """Key and certificate fit, but the provider would refuse them."""
    other = SitePki(tmp_path / "other", site="site-a")
    mixed = Credentials(
        site=SITE,
        ca_file=str(pki.ca_file),
        identity_file=str(other.identity_file),
    )

    with pytest.raises(
        CredentialsError, match=r"identity\.pem is not accepted by the CA in .*ca\.crt"
    ):
        mixed.facts()


def test_key_of_another_certificate_is_named(pki: SitePki, tmp_path: Path) -> None:
    """A copy of one file without the other."""
    other = SitePki(tmp_path / "other", site="site-a")
    pki.identity_file.write_bytes(
        other.client_key_file.read_bytes() + pki.client_certificate_file.read_bytes()
    )

    with pytest.raises(CredentialsError, match=r"identity\.pem holds no certificate with its own"):
        pki.credentials().facts()


def test_certificate_of_another_site_is_named(pki: SitePki, tmp_path: Path) -> None:
    """Signed by the right CA, but for another name."""
    pki.issue_client(site="site-b")

    with pytest.raises(CredentialsError, match="is for system:node:site-b, not for"):
        pki.credentials().facts()


def test_certificate_for_a_server_is_refused(pki: SitePki) -> None:
    """The provider accepts client certificates alone."""
    pki.issue_client(site="site-a", usage=ExtendedKeyUsageOID.SERVER_AUTH)

    with pytest.raises(CredentialsError, match="is not accepted by the CA"):
        pki.credentials().facts()


def test_certificate_of_another_group_is_refused(pki: SitePki) -> None:
    """The Node authorizer knows system:nodes only."""
    pki.issue_client(site="site-a", group="system:masters")

    with pytest.raises(CredentialsError, match="organization is not exactly system:nodes"):
        pki.credentials().facts()


@pytest.mark.parametrize("name", ["ca_file", "identity_file"])
def test_missing_file_is_named(pki: SitePki, name: str) -> None:
    """With the reason of the operating system."""
    path = getattr(pki, name)
    path.unlink()

    with pytest.raises(CredentialsError, match=rf"cannot read {path}: No such file"):
        pki.credentials().facts()


def test_file_without_a_certificate_is_named(pki: SitePki) -> None:
    """An empty or foreign CA file."""
    pki.ca_file.write_text("nothing\n")

    with pytest.raises(CredentialsError, match=r"ca\.crt holds no CA certificate"):
        pki.credentials().facts()


def test_encrypted_key_does_not_ask_the_terminal(pki: SitePki) -> None:
    """A service has none, and would hang."""
    key = ec.generate_private_key(ec.SECP256R1())
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    pki.identity_file.write_bytes(encrypted + pki.client_certificate_file.read_bytes())

    with pytest.raises(CredentialsError, match=r"identity\.pem holds no certificate with its own"):
        pki.credentials().facts()


def test_certificate_is_read_again_for_each_context(pki: SitePki, tmp_path: Path) -> None:
    """A renewed certificate needs no restart."""
    held = pki.credentials()
    held.tls_context()
    pki.identity_file.unlink()

    with pytest.raises(CredentialsError):
        held.tls_context()


def test_names_of_the_test_pki_are_what_they_say(pki: SitePki) -> None:
    """The fixture itself: a subject of the Node's form."""
    certificate = x509.load_pem_x509_certificate(pki.client_certificate_file.read_bytes())

    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert names[0].value == "system:node:site-a"
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)


async def test_expired_certificate_still_says_whose_it_is(tmp_path: Path) -> None:
    """It is what the next one is asked for with."""
    provider = EnrollingProvider(SITE, lifetime_s=-60.0)
    request = make_request(Wanted(site=SITE))
    issued = provider.issue(request.csr)
    (tmp_path / "identity.pem").write_text(request.key + issued.certificate)
    (tmp_path / "ca.crt").write_text(issued.authorities)

    facts = read_certificate(
        identity_file=str(tmp_path / "identity.pem"), ca_file=str(tmp_path / "ca.crt")
    )

    assert facts.site == SITE
    assert facts.not_after < time.time() < facts.not_after + 120
    assert facts.not_before == facts.not_after - 240
    assert int(facts.serial, 16)
