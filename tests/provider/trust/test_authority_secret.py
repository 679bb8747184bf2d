"""The Secret that holds the CA: read back as it was, or refused."""

from __future__ import annotations

import datetime

import pytest

from provider.trust.authority import make_authority, rotate_authority
from provider.trust.authority_secret import decode_authority, encode_authority
from provider.trust.errors import SecretCorrupt
from tests.fakes.edge_requests import key_pem, new_key
from tunnel.identity import SiteName

SITE = SiteName("site-a")
NOW = datetime.datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=datetime.UTC)
UNTIL = NOW + datetime.timedelta(days=120)
OLD = make_authority(SITE, now=NOW)
NEW = rotate_authority(OLD, SITE, now=NOW, overlap_until=UNTIL)


def test_an_empty_secret_has_no_ca() -> None:
    """Also one with empty fields, or another's."""
    for data in ({}, {"ca.crt": b""}, {"note": b"mine"}):
        assert decode_authority(data, site=SITE) is None


def test_a_ca_is_read_as_it_was() -> None:
    """Alone, and with its predecessor."""
    for authority in (OLD, NEW):
        data = encode_authority({"note": b"mine"}, authority)
        read = decode_authority(data, site=SITE)
        assert read is not None
        assert read.certificate == authority.certificate
        assert read.key.private_numbers() == authority.key.private_numbers()
        assert read.token_key == authority.token_key
        assert read.cross_signed == authority.cross_signed
        assert read.previous == authority.previous
        assert read.overlap_until == authority.overlap_until
        assert data["note"] == b"mine"


def test_a_site_name_of_any_allowed_length_fits() -> None:
    """The CA's own name is cut where X.509 ends."""
    site = SiteName("s" * 63)
    data = encode_authority({}, make_authority(site, now=NOW))
    assert decode_authority(data, site=site) is not None


GOOD = encode_authority({}, NEW)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"ca.crt": b"junk"}, "ca.crt"),
        ({"ca.crt": b""}, "ca.crt"),
        ({"ca.key": b""}, "ca.key"),
        ({"ca.key": b"junk"}, "ca.key"),
        ({"ca.key": key_pem(new_key())}, "ca.key"),
        ({"ca.crt": encode_authority({}, OLD)["ca.crt"]}, "ca.key"),
        ({"token.key": b""}, "token.key"),
        ({"token.key": b"x" * 31}, "token.key"),
        ({"previous-ca.crt": b""}, "previous-ca.crt"),
        ({"previous-ca.crt": b"junk"}, "previous-ca.crt"),
        ({"previous-ca.crt": encode_authority({}, make_authority(SITE, now=NOW))["ca.crt"]}, "ca."),
        ({"overlap-until": b""}, "overlap-until"),
        ({"overlap-until": b"tomorrow"}, "overlap-until"),
        ({"overlap-until": b"2026-05-01T12:00:00"}, "overlap-until"),
        ({"ca.crt": b"", "ca.key": b"", "previous-ca.crt": b"", "overlap-until": b""}, "ca.crt"),
    ],
)
def test_a_damaged_secret_is_said(change: dict[str, bytes], field: str) -> None:
    """With the field and what to do, without what is in it."""
    with pytest.raises(SecretCorrupt, match=field) as caught:
        decode_authority({**GOOD, **change}, site=SITE)
    assert "edgelet-site-ca" in str(caught.value)
    assert "PRIVATE" not in str(caught.value)


def test_another_site_s_ca_is_refused() -> None:
    """A Secret that was copied between namespaces joins no two sites."""
    with pytest.raises(SecretCorrupt, match="site-b"):
        decode_authority(GOOD, site=SiteName("site-b"))
