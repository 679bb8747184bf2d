"""A key and its request, from this process and from a child."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge_runtime.uplink.certificate_request import (
    CertificateRequest,
    RequestError,
    Wanted,
    make_request,
    request_in_child,
)
from tests.fakes.site_pki import SitePki
from tunnel.enrolment import recovery_message

ROOT = Path(__file__).parents[3]


def test_request_is_for_the_sites_node_and_asks_for_nothing_else() -> None:
    """An EC key of P-256; the provider decides on the extensions."""
    made = make_request(Wanted(site="site-a"))

    csr = x509.load_pem_x509_csr(made.csr.encode())
    assert csr.is_signature_valid
    assert csr.subject.rfc4514_string() == "CN=system:node:site-a,O=system:nodes"
    assert len(csr.extensions) == 0
    key = serialization.load_pem_private_key(made.key.encode(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert "PRIVATE" not in repr(made)


def test_key_of_an_earlier_request_is_kept() -> None:
    """The answer to it may have been lost; one that is torn is replaced."""
    first = make_request(Wanted(site="site-a"))

    assert make_request(Wanted(site="site-a", key=first.key)).key == first.key
    assert make_request(Wanted(site="site-a", key=first.key[:40])).key != first.key


async def test_child_makes_the_same_and_proves_the_old_key(tmp_path: Path) -> None:
    """Recovery: the old key vouches for this very request."""
    pki = SitePki(tmp_path, site="site-a")
    identity = pki.identity_file.read_text()

    made = await request_in_child(Wanted(site="site-a", proof=identity))

    old = x509.load_pem_x509_certificate(pki.client_certificate_file.read_bytes())
    assert x509.load_pem_x509_certificate(made.proof_certificate.encode()) == old
    der = x509.load_pem_x509_csr(made.csr.encode()).public_bytes(serialization.Encoding.DER)
    public = old.public_key()
    assert isinstance(public, ec.EllipticCurvePublicKey)
    signature = base64.b64decode(made.proof_signature)
    public.verify(signature, recovery_message(der), ec.ECDSA(hashes.SHA256()))


async def test_child_that_fails_is_one_sentence() -> None:
    """With what it said last, and without what it was given."""
    with pytest.raises(RequestError, match="expired identity cannot be read") as failed:
        await request_in_child(Wanted(site="site-a", proof="a secret that is no PEM"))

    assert "a secret" not in str(failed.value)


def test_steady_state_does_not_import_cryptography() -> None:
    """Neither the edge nor its renewal: 10 MiB for minutes of work in a year."""
    code = (
        "import sys, edge_runtime.app, edge_runtime.uplink.renewal; "
        "sys.exit('cryptography' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_request_keeps_its_key_out_of_tracebacks() -> None:
    """They use repr."""
    assert "k-e-y" not in repr(CertificateRequest(key="k-e-y", csr="c"))
