"""Certificates without the X.509: what the decisions about them look at."""

from __future__ import annotations

import datetime

from cryptography.hazmat.primitives.asymmetric import ec

from provider.trust.issued_certificates import CertificateRecord, Proof
from provider.trust.presented_certificate import PresentedCertificate

START = datetime.datetime(2026, 5, 1, 12, tzinfo=datetime.UTC)
LIFETIME_S = 1000.0
_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()


def moment(seconds: float) -> datetime.datetime:
    """Return a moment after START."""
    return START + datetime.timedelta(seconds=seconds)


def record(serial: str, *, key: str = "", at_s: float = 0.0) -> CertificateRecord:
    """Make a certificate of LIFETIME_S, issued after ``at_s`` seconds.

    Args:
        serial: Of the certificate.
        key: Hash of its key; one of its own by default.
        at_s: Seconds after START.
    """
    return CertificateRecord(
        serial=serial,
        key_hash=key or f"key of {serial}",
        not_before=moment(at_s - 300),
        not_after=moment(at_s + LIFETIME_S),
        proof=Proof.JOIN,
        issued_at=moment(at_s),
        certificate=f"certificate {serial}",
    )


def presented(certificate: CertificateRecord) -> PresentedCertificate:
    """Show a certificate."""
    return PresentedCertificate(
        serial=certificate.serial, key_hash=certificate.key_hash, public_key=_KEY
    )
