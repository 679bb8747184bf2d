"""The edge port's server certificate."""

from __future__ import annotations

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from provider.trust.authority import make_authority, rotate_authority
from provider.trust.errors import TrustError
from provider.trust.serving_certificate import ServingCertificate, make_serving_certificate
from tunnel.identity import SiteName

SITE = SiteName("site-a")
NOW = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)
DAYS = datetime.timedelta(days=1)
CA = make_authority(SITE, now=NOW)


def made(*names: str) -> ServingCertificate:
    """Make one of 90 days."""
    return make_serving_certificate(CA, SITE, names=names, now=NOW, lifetime_s=90 * 86400.0)


def test_it_carries_the_fixed_name_and_the_configured_ones() -> None:
    """DNS names, wildcards and IP addresses of both families."""
    serving = made("edge.example.com", "*.edge.example.com", "192.0.2.7", "2001:db8::1")
    leaf = x509.load_pem_x509_certificate(serving.chain_pem)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [
        "provider.site-a.edgelet.internal",
        "edge.example.com",
        "*.edge.example.com",
    ]
    assert names.get_values_for_type(x509.IPAddress) == [
        ipaddress.ip_address("192.0.2.7"),
        ipaddress.ip_address("2001:db8::1"),
    ]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_it_is_due_at_seven_tenths() -> None:
    """With a key of its own each time."""
    first, second = made(), made()
    assert first.renew_at == NOW + 63 * DAYS
    assert first.not_after == NOW + 90 * DAYS
    first_leaf, second_leaf = (
        x509.load_pem_x509_certificate(item.chain_pem) for item in (first, second)
    )
    assert first_leaf.public_key() != second_leaf.public_key()
    assert "PRIVATE" not in repr(first)


def test_it_brings_what_edges_of_the_old_ca_need() -> None:
    """During an overlap only."""
    until = NOW + 10 * DAYS
    new = rotate_authority(CA, SITE, now=NOW, overlap_until=until)
    for now, length in ((NOW, 2), (until, 1)):
        serving = make_serving_certificate(new, SITE, names=(), now=now, lifetime_s=86400.0)
        assert len(x509.load_pem_x509_certificates(serving.chain_pem)) == length


def test_a_name_that_is_none_is_said() -> None:
    """With the field of the configuration."""
    with pytest.raises(TrustError, match="edgeServingNames"):
        made("bücher.example")
