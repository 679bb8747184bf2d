"""Certificate files are checked before anything listens; each fault names its file."""

from __future__ import annotations

import datetime
import ssl
from typing import TYPE_CHECKING

import pytest

from provider.serving.tls import (
    CredentialError,
    check_serving_certificate,
    server_context,
    subject_of,
)
from tests.fakes.site_pki import SitePki

if TYPE_CHECKING:
    from pathlib import Path

NAME = "provider.site-a.edgelet.internal"


@pytest.fixture
def pki(tmp_path: Path) -> SitePki:
    """Make one site's certificates."""
    return SitePki(tmp_path / "site", site="site-a")


def load(pki: SitePki, **changes: object) -> ssl.SSLContext:
    """Load the server's files, some of them changed."""
    files = {
        "certificate_file": pki.server_certificate_file,
        "key_file": pki.server_key_file,
        "client_ca_file": pki.ca_file,
        **changes,
    }
    return server_context(**{name: str(file) for name, file in files.items()})


def check(
    pki: SitePki, *, dns_name: str = NAME, ca_file: Path | None = None, days: int = 0
) -> None:
    """Check the server's certificate."""
    check_serving_certificate(
        certificate_file=str(pki.server_certificate_file),
        ca_file=str(ca_file or pki.ca_file),
        dns_name=dns_name,
        now=datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days),
    )


def test_good_files_are_taken(pki: SitePki) -> None:
    """TLS 1.2 or newer, no tickets, certificates verified where they are given."""
    check(pki)
    context = load(pki)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_mode is ssl.CERT_OPTIONAL
    assert context.options & ssl.OP_NO_TICKET


@pytest.mark.parametrize("field", ["certificate_file", "key_file", "client_ca_file"])
def test_a_missing_file_is_named(pki: SitePki, field: str) -> None:
    """With the system's own reason."""
    with pytest.raises(CredentialError, match=r"^cannot read /no/such: No such file or directory$"):
        load(pki, **{field: "/no/such"})


def test_a_key_of_another_certificate_is_named(pki: SitePki) -> None:
    """A swapped file is told as what it is."""
    with pytest.raises(CredentialError, match="is not the private key of the certificate in"):
        load(pki, key_file=pki.client_key_file)


@pytest.mark.parametrize("field", ["certificate_file", "client_ca_file"])
def test_a_file_without_certificates_is_named(pki: SitePki, tmp_path: Path, field: str) -> None:
    """Text that is no PEM is no certificate."""
    junk = tmp_path / "junk.pem"
    junk.write_text("junk")
    with pytest.raises(CredentialError, match=r"junk\.pem"):
        load(pki, **{field: junk})


def test_a_certificate_of_another_ca_is_refused(pki: SitePki, tmp_path: Path) -> None:
    """No edge would accept it."""
    other = SitePki(tmp_path / "other", site="site-a")
    with pytest.raises(CredentialError, match="does not come from the CA in"):
        check(pki, ca_file=other.ca_file)


def test_a_certificate_for_another_name_is_refused(pki: SitePki) -> None:
    """The edge asks for exactly this name."""
    with pytest.raises(CredentialError, match=r"not carry the name provider\.site-b\."):
        check(pki, dns_name="provider.site-b.edgelet.internal")


@pytest.mark.parametrize("days", [-2, 2])
def test_a_certificate_out_of_its_time_is_refused(pki: SitePki, days: int) -> None:
    """Expired, or not valid yet."""
    with pytest.raises(CredentialError, match="is valid from"):
        check(pki, days=days)


def test_subjects_keep_repeated_attributes() -> None:
    """Two common names are two, not the last."""
    subject = ((("organizationName", "o"),), (("commonName", "a"), ("commonName", "b")))
    assert subject_of({"subject": subject}) == {
        "organizationName": ("o",),
        "commonName": ("a", "b"),
    }
    assert subject_of({}) == {}
