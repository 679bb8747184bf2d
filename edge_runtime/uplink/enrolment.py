"""The edge's side of ``/ca.crt`` and ``/edge.crt``: what is asked, and what each failure means."""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import socket
import ssl
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.uplink.credentials import provider_context
from edge_runtime.uplink.enrolment_error import REFUSALS, EnrolmentError, Trouble, one_line
from edge_runtime.uplink.https_request import (
    REQUEST_TIMEOUT_S,
    Answer,
    AnswerError,
    ProxyError,
    Request,
    send_request,
)
from tunnel.enrolment import (
    CA_PATH,
    CERTIFICATE_PATH,
    PEM_TYPE,
    RECOVERY_HEADER,
    TOKEN_SCHEME,
    IssuedCertificate,
    Refusal,
    RefusalReason,
)
from tunnel.identity import is_pinned, provider_dns_name

if TYPE_CHECKING:
    from edge_runtime.uplink.certificate_request import CertificateRequest
    from edge_runtime.uplink.credentials import Credentials
    from tunnel.identity import JoinToken, SiteName

_END = "-----END CERTIFICATE-----"
_BEGIN = "-----BEGIN CERTIFICATE-----"
# OpenSSL's x509_vfy.h: X509_V_ERR_HOSTNAME_MISMATCH; not yet valid and expired.
_HOSTNAME_MISMATCH = 62
_OUT_OF_TIME = frozenset({9, 10})
_MAX_RETRY_AFTER_S = 3600.0
# What TLS itself says of a certificate of ours (RFC 8446 §6.2), as OpenSSL names it.
_EXPIRED_ALERT = "CERTIFICATE_EXPIRED"
_REFUSED_ALERTS = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PinnedAuthority:
    """The CA that a token names, as a provider gave it.

    Attributes:
        pem: That certificate alone.
        provider_time: What the answer said the time is (Unix seconds); None when it did not.
    """

    pem: str
    provider_time: float | None


class Enrolment:
    """Asks one provider.

    Args:
        server: Host and port of its edge port.
        timeout_s: For each request.
    """

    def __init__(self, *, server: tuple[str, int], timeout_s: float = REQUEST_TIMEOUT_S) -> None:
        host, port = server
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._server = server
        self._timeout_s = timeout_s

    async def fetch_authority(self, token: JoinToken, site: SiteName) -> PinnedAuthority:
        """Fetch the CA that a token names; only its hash makes it trusted.

        Raises:
            EnrolmentError: Nobody answers, it is no provider, or it is not this CA's.
        """
        unverified = provider_context()
        unverified.check_hostname = False
        unverified.verify_mode = ssl.CERT_NONE
        answer = await self._send(Request(method="GET", path=CA_PATH), unverified, site)
        if answer.status != 200:
            self._raise_refusal(answer)
        authorities = _certificates(answer.body)
        if not authorities:
            raise self._not_edgelet("its /ca.crt is no certificate")
        for pem in authorities:
            if is_pinned(ssl.PEM_cert_to_DER_cert(pem), pin=token.ca_pin):
                return PinnedAuthority(pem=pem, provider_time=_date(answer))
        raise EnrolmentError(
            Trouble.WRONG_HASH,
            f"the CA of {self.address} is not the one that the token names",
        )

    async def join(
        self, token: JoinToken, site: SiteName, request: CertificateRequest, *, authority: str
    ) -> IssuedCertificate:
        """Ask for the first certificate.

        Args:
            token: What proves that the site is ours to join.
            site: The one that the token names.
            request: Its key must be on the disk.
            authority: Whom to trust, PEM.

        Raises:
            EnrolmentError: The provider refuses, or is not who it must be.
        """
        context = provider_context()
        context.load_verify_locations(cadata=authority)
        headers = {"Authorization": f"{TOKEN_SCHEME} {token.jwt}"}
        return await self._post(request.csr, headers, context, site)

    async def renew(
        self, credentials: Credentials, request: CertificateRequest
    ) -> IssuedCertificate:
        """Ask for the next certificate by the present one.

        Raises:
            EnrolmentError: The provider refuses, or is not who it must be.
            CredentialsError: The files of the present one cannot be used.
        """
        return await self._post(request.csr, {}, credentials.tls_context(), credentials.site)

    async def recover(
        self, credentials: Credentials, request: CertificateRequest
    ) -> IssuedCertificate:
        """Ask for the next certificate by the key of one that has expired.

        Args:
            credentials: Those that have expired.
            request: Made with them as proof.

        Raises:
            EnrolmentError: The provider refuses, or is not who it must be.
            CredentialsError: The CAs cannot be read.
        """
        headers = {RECOVERY_HEADER: request.proof_signature}
        return await self._post(
            request.csr + request.proof_certificate,
            headers,
            credentials.anonymous_context(),
            credentials.site,
        )

    async def check(self, credentials: Credentials) -> None:
        """Return if the provider accepts the certificate; it is then known to be in use.

        Raises:
            EnrolmentError: It does not, or cannot be asked.
            CredentialsError: The files cannot be used.
        """
        request = Request(method="GET", path=CERTIFICATE_PATH)
        answer = await self._send(request, credentials.tls_context(), credentials.site)
        if answer.status != 200:
            self._raise_refusal(answer)

    async def provider_time(self, credentials: Credentials) -> float | None:
        """Return what the provider says the time is (Unix seconds), None if it does not.

        Raises:
            EnrolmentError: It cannot be asked.
            CredentialsError: The CAs cannot be read.
        """
        request = Request(method="GET", path=CA_PATH)
        context = credentials.anonymous_context()
        return _date(await self._send(request, context, credentials.site))

    async def _post(
        self, pem: str, headers: dict[str, str], context: ssl.SSLContext, site: SiteName
    ) -> IssuedCertificate:
        request = Request(
            method="POST",
            path=CERTIFICATE_PATH,
            headers={"Content-Type": PEM_TYPE, **headers},
            body=pem.encode(),
        )
        answer = await self._send(request, context, site)
        if answer.status not in (200, 201):
            self._raise_refusal(answer)
        try:
            return msgspec.json.decode(answer.body, type=IssuedCertificate)
        except msgspec.DecodeError as exc:
            raise EnrolmentError(
                Trouble.BAD_ANSWER, f"{self.address} gave something that is no certificate"
            ) from exc

    async def _send(self, request: Request, context: ssl.SSLContext, site: SiteName) -> Answer:
        name = provider_dns_name(site)
        try:
            return await send_request(
                request,
                server=self._server,
                context=context,
                server_hostname=name,
                timeout_s=self._timeout_s,
            )
        # ValueError: a host name that no name server could be asked for.
        except (OSError, ProxyError, AnswerError, ValueError) as exc:
            raise self._explain(exc, name) from exc

    def _explain(self, exc: Exception, name: str) -> EnrolmentError:
        match exc:
            case ssl.SSLCertVerificationError():
                return self._explain_verification(exc, name)
            case ssl.SSLError():
                return self._explain_tls(exc)
            case ProxyError():
                return EnrolmentError(Trouble.PROXY, str(exc))
            case AnswerError():
                return self._not_edgelet(str(exc))
            case TimeoutError():
                what = f"{self.address} gave no answer within {self._timeout_s:.0f} s"
            case socket.gaierror():
                what = f"the host of {self.address} cannot be resolved ({exc.strerror})"
            case ConnectionRefusedError():
                what = f"nobody listens on {self.address}"
            case ConnectionError():
                return EnrolmentError(Trouble.HUNG_UP, f"{self.address} hung up without an answer")
            case OSError():
                what = f"{self.address} cannot be reached ({exc.strerror or exc})"
            case _:
                what = f"{self.address} cannot be asked ({exc})"
        return EnrolmentError(Trouble.UNREACHABLE, what)

    def _explain_verification(self, exc: ssl.SSLCertVerificationError, name: str) -> EnrolmentError:
        if exc.verify_code == _HOSTNAME_MISMATCH:
            return EnrolmentError(
                Trouble.OTHER_SITE, f"the certificate of {self.address} is not for {name}"
            )
        if exc.verify_code in _OUT_OF_TIME:
            return EnrolmentError(
                Trouble.CLOCK_SKEW,
                f"by this machine's clock the certificate of {self.address} is not valid now "
                f"({exc.verify_message})",
            )
        return EnrolmentError(
            Trouble.INTERCEPTED,
            f"the certificate of {self.address} is not signed by the site's CA, so somebody "
            "between here and the provider opens TLS, as some proxies do",
        )

    def _explain_tls(self, exc: ssl.SSLError) -> EnrolmentError:
        reason = exc.reason or str(exc)
        if _EXPIRED_ALERT in reason:
            return EnrolmentError(
                Trouble.EXPIRED, f"{self.address} says that our certificate has expired"
            )
        if "ALERT" in reason and any(alert in reason for alert in _REFUSED_ALERTS):
            return EnrolmentError(
                Trouble.UNKNOWN, f"{self.address} does not accept our certificate ({reason})"
            )
        return self._not_edgelet(f"TLS failed, {reason.lower().replace('_', ' ')}")

    def _not_edgelet(self, why: str) -> EnrolmentError:
        return EnrolmentError(
            Trouble.NOT_EDGELET, f"{self.address} is not an edgelet provider ({why})"
        )

    def _raise_refusal(self, answer: Answer) -> None:
        """Raise what the provider says.

        Raises:
            EnrolmentError: Always.
        """
        try:
            refusal = msgspec.json.decode(answer.body, type=Refusal)
        except msgspec.DecodeError as exc:
            raise self._not_edgelet(f"it answered {answer.status}") from exc
        trouble = Trouble.OTHER
        with contextlib.suppress(ValueError, KeyError):
            trouble = REFUSALS[RefusalReason(refusal.reason)]
        raise EnrolmentError(
            trouble,
            one_line(refusal.message) or f"the provider refuses ({one_line(refusal.reason)})",
            retry_after_s=_retry_after_s(answer),
        )


def _certificates(body: bytes) -> list[str]:
    """Return the certificates of a bundle, PEM each; none if it is no bundle."""
    found = []
    for part in body.decode("latin-1").split(_BEGIN)[1:]:
        inner, end, _ = part.partition(_END)
        pem = f"{_BEGIN}{inner}{end}\n"
        try:
            ssl.PEM_cert_to_DER_cert(pem)
        except ValueError:
            return []
        found.append(pem)
    return found


def _date(answer: Answer) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError:
        return None


def _retry_after_s(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    if text.isascii() and text.isdecimal() and len(text) < 9:
        return min(float(text), _MAX_RETRY_AFTER_S)
    return 0.0
