"""One site's certificates in files, as the join flow leaves them; made with the real X.509."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

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
        self.server_certificate_file = folder / "server.crt"
        self.server_key_file = folder / "server.key"
        self._ca_key = ec.generate_private_key(ec.SECP256R1())
        self._ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"edgelet {site}")])
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

    def issue_server(self, dns: str) -> None:
        """Write a server certificate for one DNS name and its key."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, dns)])
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        self._issue(subject, usage, self.server_certificate_file, self.server_key_file, dns=dns)

    def _write_ca(self) -> None:
        builder = _builder(self._ca_name, self._ca_name).public_key(self._ca_key.public_key())
        certificate = (
            builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._ca_key.public_key()), critical=False
            )
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
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def _builder(subject: x509.Name, issuer: x509.Name) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
