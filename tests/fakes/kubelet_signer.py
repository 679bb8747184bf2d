"""The cluster's signer of kubelet-serving certificates, and whoever approves what it signs."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable

    from tests.fakes.fake_api_server import FakeAPIServer

Json = dict[str, Any]

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"


class KubeletSigner:
    """Signs what it is asked, as kube-controller-manager does once somebody approved.

    Args:
        now: Wall clock, UTC.
        lifetime: Of a certificate.

    Attributes:
        authority: Its CA.
    """

    def __init__(
        self, now: Callable[[], datetime.datetime], *, lifetime: datetime.timedelta
    ) -> None:
        self.authority = trustme.CA()
        self._now = now
        self._lifetime = lifetime

    def sign(self, request_pem: bytes) -> bytes:
        """Return the certificate, PEM."""
        request = x509.load_pem_x509_csr(request_pem)
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        ca = x509.load_pem_x509_certificate(self.authority.cert_pem.bytes())
        ca_key_pem = self.authority.private_key_pem.bytes()
        ca_key = serialization.load_pem_private_key(ca_key_pem, password=None)
        assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(ca.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._now().replace(microsecond=0))
            .not_valid_after(self._now().replace(microsecond=0) + self._lifetime)
            .add_extension(names, critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM)

    def approve(self, server: FakeAPIServer, name: str) -> bytes:
        """Approve and sign a request; return the certificate."""
        spec = server.objects[REQUESTS, name]["spec"]
        assert spec["signerName"] == "kubernetes.io/kubelet-serving"
        assert spec["usages"] == ["digital signature", "server auth"]
        certificate = self.sign(base64.b64decode(spec["request"]))
        decide(server, name, "Approved", certificate=certificate)
        return certificate


def requests(server: FakeAPIServer) -> list[str]:
    """Return the names of the requests that there are."""
    return [name for collection, name in server.objects if collection == REQUESTS]


def decide(server: FakeAPIServer, name: str, kind: str, *, certificate: bytes = b"") -> None:
    """Set a request's condition: Approved, Denied or Failed."""
    status: Json = {"conditions": [{"type": kind, "reason": "Test", "message": "as told"}]}
    if certificate:
        status["certificate"] = base64.b64encode(certificate).decode()
    server.put(REQUESTS, {**server.objects[REQUESTS, name], "status": status})
