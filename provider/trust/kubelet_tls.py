"""TLS of the kubelet port: the certificate of the moment, and the CA of the moment for clients."""

from __future__ import annotations

import logging
import weakref
from typing import TYPE_CHECKING, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from provider.serving.tls import server_context

if TYPE_CHECKING:
    import ssl

    from provider.trust.kubelet_certificate import KubeletCertificate

logger = logging.getLogger(__name__)


class Shown(Protocol):
    """Has the certificate to be shown; it may change at any time."""

    @property
    def certificate(self) -> KubeletCertificate:
        """The one to be shown now."""


class Authorities(Protocol):
    """Has the CA of client certificates; it may change at any time."""

    @property
    def pem(self) -> bytes:
        """One CA or more, or nothing."""


class KubeletTls:
    """Gives the context of each handshake, and looks after connections that have lasted.

    Args:
        serving: Has the certificate.
        authorities: Has the CA of client certificates.
    """

    def __init__(self, *, serving: Shown, authorities: Authorities) -> None:
        self._serving = serving
        self._authorities = authorities
        self._context: ssl.SSLContext | None = None
        self._made_of: tuple[KubeletCertificate, bytes] | None = None
        # By the context of its handshake, what a connection's certificate was verified against.
        self._verified_by: weakref.WeakKeyDictionary[ssl.SSLContext, bytes] = (
            weakref.WeakKeyDictionary()
        )

    def context(self) -> ssl.SSLContext:
        """Return the context of the next handshake; a new one after a change."""
        certificate, pem = made_of = (self._serving.certificate, self._authorities.pem)
        if self._context is None or self._made_of != made_of:
            self._context = server_context(
                certificate_pem=certificate.chain_pem,
                key_pem=certificate.key_pem,
                client_ca_pem=pem,
            )
            self._made_of = made_of
            self._verified_by[self._context] = pem
        return self._context

    def accepts(self, connection: ssl.SSLObject) -> bool:
        """Whether the certificate that a connection began with would be accepted now.

        After a change of the CA it must come straight from one of the present ones: intermediates
        of the handshake are not at hand any more. Who came with some connects again.
        """
        if self._verified_by.get(connection.context) == self._authorities.pem:
            return True
        der = connection.getpeercert(binary_form=True)
        if der is None or not self._authorities.pem:
            return False
        certificate = x509.load_der_x509_certificate(der)
        authorities = x509.load_pem_x509_certificates(self._authorities.pem)
        return any(_is_issued_by(certificate, authority) for authority in authorities)


def _is_issued_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
