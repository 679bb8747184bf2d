"""The kubelet port's certificate: what is asked for, and what is shown."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from provider.trust.kubelet_certificate import (
    UnusableCertificate,
    certificate_request,
    new_key_pem,
    request_name,
    self_signed,
    usable_certificate,
)
from tests.fakes.kubelet_signer import KubeletSigner
from tunnel.identity import SiteName

SITE = SiteName("site-a")
ADDRESS = "10.1.2.3"
NOW = datetime.datetime(2026, 5, 1, 12, 0, 0, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)


def test_the_request_is_a_kubelets() -> None:
    """Subject of the node, one address, its own signature (ValidateKubeletServingCSR)."""
    request = x509.load_pem_x509_csr(
        certificate_request(site=SITE, address=ADDRESS, key_pem=new_key_pem())
    )
    names = {attribute.oid: attribute.value for attribute in request.subject}
    assert names == {
        NameOID.COMMON_NAME: "system:node:site-a",
        NameOID.ORGANIZATION_NAME: "system:nodes",
    }
    (extension,) = request.extensions
    assert isinstance(extension.value, x509.SubjectAlternativeName)
    assert [str(name.value) for name in extension.value] == [ADDRESS]
    assert request.is_signature_valid


def test_a_requests_name_tells_keys_and_addresses_apart() -> None:
    """And is the same for the same: a provider that comes back finds its request."""
    keys = [new_key_pem(), new_key_pem()]
    names = [
        request_name(site=SITE, address=address, key_pem=key)
        for key in keys
        for address in (ADDRESS, "10.1.2.4")
    ]
    assert len(set(names)) == 4
    assert names[0] == request_name(site=SITE, address=ADDRESS, key_pem=keys[0])
    assert names[0].startswith("edgelet-site-a-")


def test_a_self_signed_one_is_for_the_address() -> None:
    """For whoever does not verify it, and no CA of anybody's."""
    shown = self_signed(site=SITE, address="fd00::1", now=NOW)
    certificate = x509.load_pem_x509_certificate(shown.chain_pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["fd00::1"]
    assert shown.is_self_signed
    assert shown.not_before < NOW < shown.not_after == certificate.not_valid_after_utc
    basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert not basic.ca


def issue(key_pem: bytes, *, address: str = ADDRESS, now: datetime.datetime = NOW) -> bytes:
    """Have a certificate signed as the cluster does."""
    request = certificate_request(site=SITE, address=address, key_pem=key_pem)
    return KubeletSigner(lambda: now, lifetime=HOUR).sign(request)


def test_an_issued_one_is_taken_as_it_is() -> None:
    """With its times, and when a share of its life is over."""
    key_pem = new_key_pem()
    chain_pem = issue(key_pem)
    taken = usable_certificate(chain_pem=chain_pem, key_pem=key_pem, address=ADDRESS, now=NOW)
    assert (taken.chain_pem, taken.key_pem, taken.is_self_signed) == (chain_pem, key_pem, False)
    assert taken.not_after - taken.not_before == HOUR
    assert taken.due(0.5) == taken.not_before + HOUR / 2
    assert key_pem.decode() not in repr(taken)


def test_another_address_key_or_time_is_refused() -> None:
    """It would fail at every client, or the port would not open."""
    key_pem = new_key_pem()
    chain_pem = issue(key_pem)
    faults: dict[str, dict[str, Any]] = {
        "another key": {"key_pem": new_key_pem()},
        "not for the address": {"address": "10.1.2.4"},
        "is valid from": {"now": NOW + 2 * HOUR},
        "no serving certificate": {"chain_pem": b"junk"},
        "no private key": {"key_pem": b"junk"},
    }
    for wanted, changed in faults.items():
        whole: dict[str, Any] = {
            "chain_pem": chain_pem,
            "key_pem": key_pem,
            "address": ADDRESS,
            "now": NOW,
        }
        with pytest.raises(UnusableCertificate, match=wanted):
            usable_certificate(**(whole | changed))


def test_one_without_names_or_use_is_refused() -> None:
    """Whoever signed that did not sign our request."""
    leaf = trustme.CA().issue_cert("host.test")
    with pytest.raises(UnusableCertificate):
        usable_certificate(
            chain_pem=leaf.cert_chain_pems[0].bytes(),
            key_pem=leaf.private_key_pem.bytes(),
            address=ADDRESS,
            now=datetime.datetime.now(datetime.UTC),
        )


def test_a_key_of_another_kind_is_none_of_ours() -> None:
    """It was not made here."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(UnusableCertificate, match="elliptic"):
        certificate_request(site=SITE, address=ADDRESS, key_pem=key_pem)
