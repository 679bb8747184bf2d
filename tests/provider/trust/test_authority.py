"""The CA, what it signs, and its rotation; with real TLS handshakes."""

from __future__ import annotations

import datetime
import ssl
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from provider.serving.tls import server_context
from provider.trust.authority import (
    BACKDATED,
    CA_LIFETIME,
    Authority,
    make_authority,
    rotate_authority,
    sign_edge_certificate,
)
from provider.trust.authority_secret import certificates_pem, decode_authority, encode_authority
from provider.trust.serving_certificate import make_serving_certificate
from tests.fakes.edge_requests import key_pem, new_key
from tests.fakes.memory_tls import edge_context, shake_hands
from tunnel.identity import SiteName, ca_pin, provider_dns_name

if TYPE_CHECKING:
    from pathlib import Path

SITE = SiteName("site-a")
NAME = provider_dns_name(SITE)
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
MONTH_S = 30 * 86400.0
OVERLAP = NOW + datetime.timedelta(days=120)


def server_of(authority: Authority, *, now: datetime.datetime = NOW) -> ssl.SSLContext:
    """Make the edge port's context as of a moment."""
    serving = make_serving_certificate(authority, SITE, names=(), now=now, lifetime_s=MONTH_S)
    return server_context(
        certificate_pem=serving.chain_pem,
        key_pem=serving.key_pem,
        client_ca_pem=certificates_pem(authority.accepted(now)),
    )


def edge_of(
    authority: Authority, folder: Path, *, trusts: tuple[Authority, ...] = ()
) -> ssl.SSLContext:
    """Make an edge that joined under a CA, and knows that one or others."""
    key = new_key()
    certificate = sign_edge_certificate(
        authority, SITE, key.public_key(), now=NOW, lifetime_s=MONTH_S
    )
    return edge_context(
        certificates_pem(ca.certificate for ca in trusts or (authority,)),
        certificate_pem=certificates_pem([certificate]),
        key_pem=key_pem(key),
        folder=str(folder),
    )


@pytest.fixture(scope="module")
def old() -> Authority:
    """Make the first CA."""
    return make_authority(SITE, now=NOW)


@pytest.fixture(scope="module")
def new(old: Authority) -> Authority:
    """Make the next CA, and read it back as the provider does."""
    rotated = rotate_authority(old, SITE, now=NOW, overlap_until=OVERLAP)
    read = decode_authority(encode_authority({}, rotated), site=SITE)
    assert read is not None
    return read


def test_a_ca_signs_leaves_only(old: Authority) -> None:
    """For ten years, with a path length of 0."""
    certificate = old.certificate
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (
        True,
        True,
        0,
    )
    assert certificate.not_valid_before_utc == NOW - BACKDATED
    assert certificate.not_valid_after_utc == NOW + CA_LIFETIME
    assert isinstance(old.key.curve, ec.SECP256R1)
    (name,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "edgelet-site-site-a"


def test_an_edge_certificate_is_for_clients_only(old: Authority) -> None:
    """Named as the site's Node, for the requested key."""
    key = rsa.generate_private_key(65537, 2048)
    certificate = sign_edge_certificate(old, SITE, key.public_key(), now=NOW, lifetime_s=MONTH_S)
    subject = [(item.oid, item.value) for item in certificate.subject]
    assert subject == [
        (NameOID.ORGANIZATION_NAME, "system:nodes"),
        (NameOID.COMMON_NAME, "system:node:site-a"),
    ]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert certificate.public_key() == key.public_key()
    assert certificate.not_valid_before_utc == NOW - datetime.timedelta(minutes=5)
    assert certificate.not_valid_after_utc == NOW + datetime.timedelta(days=30)


def test_no_certificate_outlives_its_ca(old: Authority) -> None:
    """The last one ends with it."""
    end = old.certificate.not_valid_after_utc
    certificate = sign_edge_certificate(
        old,
        SITE,
        new_key().public_key(),
        now=end - datetime.timedelta(days=1),
        lifetime_s=MONTH_S,
    )
    assert certificate.not_valid_after_utc == end


def test_secrets_are_in_no_text(old: Authority) -> None:
    """What is printed or logged shows no key."""
    assert old.token_key.hex() not in repr(old)
    assert "token_key" not in repr(old)
    assert "key=" not in repr(old)


def test_edge_and_provider_know_each_other(old: Authority, tmp_path: Path) -> None:
    """Both show certificates of one CA."""
    _, server = shake_hands(server_of(old), edge_of(old, tmp_path), name=NAME)
    assert server.getpeercert() is not None


def test_another_site_s_ca_is_refused(old: Authority, tmp_path: Path) -> None:
    """On both ends, even with the same names in it."""
    foreign = make_authority(SITE, now=NOW)
    with pytest.raises(ssl.SSLError):
        shake_hands(server_of(old), edge_of(foreign, tmp_path, trusts=(old,)), name=NAME)
    with pytest.raises(ssl.SSLError):
        shake_hands(server_of(foreign), edge_of(old, tmp_path), name=NAME)


def test_a_server_certificate_is_no_client_s(old: Authority, tmp_path: Path) -> None:
    """And the reverse."""
    serving = make_serving_certificate(old, SITE, names=(), now=NOW, lifetime_s=MONTH_S)
    ca_pem = certificates_pem([old.certificate])
    as_client = edge_context(
        ca_pem,
        certificate_pem=serving.chain_pem,
        key_pem=serving.key_pem,
        folder=str(tmp_path),
    )
    with pytest.raises(ssl.SSLError):
        shake_hands(server_of(old), as_client, name=NAME)
    key = new_key()
    edge = sign_edge_certificate(old, SITE, key.public_key(), now=NOW, lifetime_s=MONTH_S)
    as_server = server_context(
        certificate_pem=certificates_pem([edge]), key_pem=key_pem(key), client_ca_pem=ca_pem
    )
    with pytest.raises(ssl.SSLError):
        shake_hands(as_server, edge_of(old, tmp_path), name=NAME)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("joined", ["before", "after", "after, knows both"])
def test_every_edge_connects_during_an_overlap(
    old: Authority, new: Authority, tmp_path: Path, joined: str, version: ssl.TLSVersion
) -> None:
    """One that joined before the rotation knows only the old CA, one after it only the new."""
    edges = {
        "before": lambda: edge_of(old, tmp_path),
        "after": lambda: edge_of(new, tmp_path),
        "after, knows both": lambda: edge_of(new, tmp_path, trusts=(new, old)),
    }
    edge = edges[joined]()
    edge.minimum_version = edge.maximum_version = version
    shake_hands(server_of(new), edge, name=NAME)


def test_the_old_ca_ends_with_the_overlap(old: Authority, new: Authority, tmp_path: Path) -> None:
    """Then its clients are refused, and it is handed to nobody."""
    # The handshake's clock is the machine's: this is the context that is made after the end.
    after = server_of(
        Authority(
            certificate=new.certificate,
            key=new.key,
            token_key=new.token_key,
            cross_signed=new.cross_signed,
            previous=new.previous,
            overlap_until=NOW,
        )
    )
    with pytest.raises(ssl.SSLError):
        shake_hands(after, edge_of(old, tmp_path), name=NAME)
    with pytest.raises(ssl.SSLError):
        shake_hands(after, edge_of(old, tmp_path, trusts=(new,)), name=NAME)
    shake_hands(after, edge_of(new, tmp_path), name=NAME)
    assert new.accepted(OVERLAP) == (new.certificate,)
    assert new.server_chain(OVERLAP) == ()


def test_a_rotation_leaves_nothing_of_the_old_keys(old: Authority, new: Authority) -> None:
    """Tokens name another CA and another key signs them; the old CA's key is forgotten."""
    assert new.pin != old.pin
    assert new.pin == ca_pin(new.certificate.public_bytes(Encoding.DER))
    assert new.token_key != old.token_key
    assert new.key.public_key() != old.key.public_key()
    data = encode_authority({}, new)
    assert old.token_key not in data.values()
    assert key_pem(old.key) not in data.values()
    assert data["ca.crt"].startswith(certificates_pem([new.certificate]))
    assert new.accepted(NOW) == (new.certificate, old.certificate)


def test_a_second_rotation_drops_the_oldest(old: Authority, new: Authority, tmp_path: Path) -> None:
    """Who knows only that one must join again; who renewed since goes on."""
    newest = rotate_authority(new, SITE, now=NOW, overlap_until=OVERLAP)
    server = server_of(newest)
    shake_hands(server, edge_of(new, tmp_path), name=NAME)
    shake_hands(server, edge_of(newest, tmp_path), name=NAME)
    with pytest.raises(ssl.SSLError):
        shake_hands(server, edge_of(old, tmp_path), name=NAME)
