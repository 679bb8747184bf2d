"""One site's certificates, made with the real X.509: the edge's files, the provider's Secrets."""

from __future__ import annotations

import datetime
import hashlib
import json
import secrets
import shutil
from typing import TYPE_CHECKING

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge_runtime.uplink.credentials import Credentials
from provider.trust.issued_certificates import CertificateRecord, IssuedCertificates, Proof
from tunnel.identity import parse_site_name

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.x509.oid import ObjectIdentifier


class SitePki:
    """A CA and what it signs, below one folder."""

    def __init__(self, folder: Path, *, site: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.site = site
        self.ca_file = folder / "ca.crt"
        self.client_certificate_file = folder / "client.crt"
        self.client_key_file = folder / "client.key"
        self.identity_file = folder / "identity.pem"
        self.server_certificate_file = folder / "server.crt"
        self.server_key_file = folder / "server.key"
        self._ca_key = ec.generate_private_key(ec.SECP256R1())
        self._ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"edgelet-site-{site}")])
        self._write_ca()
        self.issue_client(site=site)
        self.issue_server(f"provider.{site}.edgelet.internal")

    def issue_client(
        self,
        *,
        site: str,
        group: str = "system:nodes",
        usage: ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    ) -> None:
        """Write a client certificate and its key."""
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, group),
                x509.NameAttribute(NameOID.COMMON_NAME, f"system:node:{site}"),
            ]
        )
        self._issue(subject, usage, self.client_certificate_file, self.client_key_file, dns=None)
        files = (self.client_key_file, self.client_certificate_file)
        self.identity_file.write_bytes(b"".join(file.read_bytes() for file in files))
        self.identity_file.chmod(0o600)

    def credentials(self) -> Credentials:
        """Return the edge's identity, as its dials take it."""
        return Credentials(
            site=parse_site_name(self.site),
            ca_file=str(self.ca_file),
            identity_file=str(self.identity_file),
        )

    def write_identity(self, root: Path, *, server: str) -> None:
        """Write the identity folder of an edge that has joined.

        Args:
            root: The edge's rootDirectory.
            server: ``HOST:PORT`` of the provider.
        """
        folder = root / "identity"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copy(self.ca_file, folder / "ca.crt")
        shutil.copy(self.identity_file, folder / "identity.pem")
        (folder / "site.json").write_text(json.dumps({"site": self.site, "server": server}))

    def issue_server(self, dns: str) -> None:
        """Write a server certificate for one DNS name and its key."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, dns)])
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        self._issue(subject, usage, self.server_certificate_file, self.server_key_file, dns=dns)

    def secrets(self) -> dict[str, dict[str, bytes]]:
        """Return the provider's Secrets, in which the edge's certificate is the current one."""
        certificate = self.client_certificate_file.read_bytes()
        issued = IssuedCertificates(current=_record(certificate))
        return {
            "edgelet-site-ca": {
                "ca.crt": self.ca_file.read_bytes(),
                "ca.key": _pem(self._ca_key),
                "token.key": secrets.token_bytes(32),
            },
            "edgelet-site-certificates": {"certificates.json": msgspec.json.encode(issued)},
        }

    def _write_ca(self) -> None:
        builder = _builder(self._ca_name, self._ca_name, days=3650).public_key(
            self._ca_key.public_key()
        )
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._ca_key.public_key()), critical=False
            )
            .add_extension(_ca_usage(), critical=True)
            .sign(self._ca_key, hashes.SHA256())
        )
        self.ca_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _issue(
        self,
        subject: x509.Name,
        usage: ObjectIdentifier,
        certificate_file: Path,
        key_file: Path,
        *,
        dns: str | None,
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(subject, self._ca_name)
            .public_key(key.public_key())
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._ca_key.public_key()),
                critical=False,
            )
        )
        if dns is not None:
            names = x509.SubjectAlternativeName([x509.DNSName(dns)])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._ca_key, hashes.SHA256())
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(_pem(key))


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _record(certificate_pem: bytes) -> CertificateRecord:
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return CertificateRecord(
        serial=f"{certificate.serial_number:x}",
        key_hash=hashlib.sha256(key).hexdigest(),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        proof=Proof.JOIN,
        issued_at=certificate.not_valid_before_utc,
        certificate=certificate_pem.decode(),
    )


def _ca_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(subject: x509.Name, issuer: x509.Name, *, days: int = 1) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=days))
    )
