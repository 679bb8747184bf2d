"""The edge's side of ``/ca.crt`` and ``/edge.crt``: what is asked, and what each failure means."""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import ssl
from typing import TYPE_CHECKING

import msgspec

from edge_runtime.uplink.credentials import provider_context
from edge_runtime.uplink.enrolment_error import REFUSALS, EnrolmentError, Trouble, one_line
from edge_runtime.uplink.enrolment_failure import explain_failure, not_edgelet
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
_MAX_RETRY_AFTER_S = 3600.0


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
            raise not_edgelet(self.address, "its /ca.crt is no certificate")
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
            raise explain_failure(
                exc, address=self.address, name=name, timeout_s=self._timeout_s
            ) from exc

    def _raise_refusal(self, answer: Answer) -> None:
        """Raise what the provider says.

        Raises:
            EnrolmentError: Always.
        """
        try:
            refusal = msgspec.json.decode(answer.body, type=Refusal)
        except msgspec.DecodeError as exc:
            raise not_edgelet(self.address, f"it answered {answer.status}") from exc
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
