"""A provider's /ca.crt and /edge.crt over real TLS, with the site's state in memory.

The rules are those of the site's documents in small: a token is used up by one key, the current
certificate and the one that asked for it are accepted until the current one was shown, a revoked
one never. What goes wrong on the way is switched on by the tests.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import copy
import datetime
import email.utils
import hashlib
import hmac
import json
import ssl
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from aiohttp import web
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tunnel.enrolment import (
    RECOVERY_HEADER,
    IssuedCertificate,
    Refusal,
    RefusalReason,
    recovery_message,
)
from tunnel.identity import ca_pin, provider_dns_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tunnel.identity import SiteName

TOKEN_KEY = b"k" * 32
PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER


class _Refused(Exception):
    def __init__(self, status: int, reason: RefusalReason) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass
class State:
    """What a provider keeps in Secrets.

    Attributes:
        used: Token id to the hash of the key that used it.
        revoked_tokens: Ids.
        current: Serial of the certificate in force, with the hash of its key.
        previous: Of the one that asked for it.
        revoked: Serials.
        issued: How many there were.
    """

    used: dict[str, str] = field(default_factory=dict)
    revoked_tokens: set[str] = field(default_factory=set)
    current: tuple[int, str] | None = None
    previous: int | None = None
    revoked: set[int] = field(default_factory=set)
    issued: int = 0


class EnrollingProvider:
    """One site's provider, as far as joining goes.

    Attributes:
        state: What it remembers; ``copy_state`` and assignment take it back in time.
        port: Where it listens.
        lifetime_s: Of the certificates that it issues.
        lose_answers: So many POSTs are done, but not answered.
        clock_offset_s: By how much its Date is wrong.
        refuses: Instead of any answer of its own to /edge.crt.
        hang_up_on_certificates: As a TLS server does that does not accept one.
        gives_for: A CSR whose key gets the certificate instead of the one that is asked for.
        requests: Method and path of each request.
    """

    def __init__(self, site: SiteName, *, lifetime_s: float = 30 * 86400.0) -> None:
        self.site = site
        self.state = State()
        self.port = 0
        self.lifetime_s = lifetime_s
        self.lose_answers = 0
        self.clock_offset_s = 0.0
        self.refuses: RefusalReason | None = None
        self.gives_for = ""
        self.hang_up_on_certificates = False
        self.requests: list[str] = []
        self._tokens = 0
        self._ca_key, self.ca_pem = _make_ca(site)
        self._ca = x509.load_pem_x509_certificate(self.ca_pem.encode())

    @property
    def address(self) -> str:
        """Where it listens, as ``--server`` takes it."""
        return f"127.0.0.1:{self.port}"

    def copy_state(self) -> State:
        """Return what it remembers now."""
        return copy.deepcopy(self.state)

    def token(
        self, *, site: str | None = None, ttl_s: float = 3600.0, pin: str | None = None
    ) -> str:
        """Make a join token."""
        self._tokens += 1
        claims = {"site": site or self.site, "jti": str(self._tokens), "exp": time.time() + ttl_s}
        pin = pin or ca_pin(self._ca.public_bytes(DER))
        signed = f"{_base64({'alg': 'HS256', 'typ': 'JWT'})}.{_base64(claims)}"
        return f"{pin}.{signed}.{_signature(signed)}"

    @contextlib.asynccontextmanager
    async def serving(self, *, certificate_for: str | None = None) -> AsyncIterator[None]:
        """Listen on loopback until the block ends.

        Args:
            certificate_for: Another name for the server certificate.
        """
        app = web.Application()
        app.router.add_get("/ca.crt", self._authorities)
        app.router.add_get("/edge.crt", self._check)
        app.router.add_post("/edge.crt", self._post)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            context = self.context(certificate_for or provider_dns_name(self.site))
            listener = web.TCPSite(runner, "127.0.0.1", self.port, ssl_context=context)
            await listener.start()
            self.port = runner.addresses[0][1]
            yield
        finally:
            await runner.cleanup()

    def issue(self, csr_pem: str) -> IssuedCertificate:
        """Sign a request that nobody has sent."""
        return self._sign(x509.load_pem_x509_csr(csr_pem.encode()), "", None)

    # The wire.

    async def _authorities(self, request: web.Request) -> web.Response:
        self.requests.append("GET /ca.crt")
        return self._answer(200, self.ca_pem.encode())

    async def _check(self, request: web.Request) -> web.Response:
        self.requests.append("GET /edge.crt")
        try:
            serial = self._accepted(_peer(request))
        except _Refused as exc:
            return self._refusal(exc)
        if self.state.current is not None and serial == self.state.current[0]:
            self.state.previous = None
        return self._answer(200, b"{}")

    async def _post(self, request: web.Request) -> web.Response:
        recovery = " recovery" if RECOVERY_HEADER in request.headers else ""
        self.requests.append(f"POST /edge.crt{recovery}")
        body = await request.read()
        if self.hang_up_on_certificates and _peer(request):
            assert request.transport is not None
            request.transport.abort()
        try:
            issued = self._issue(request, body)
        except _Refused as exc:
            return self._refusal(exc)
        if self.lose_answers:
            self.lose_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return self._answer(200, msgspec.json.encode(issued))

    def _answer(self, status: int, body: bytes) -> web.Response:
        date = email.utils.formatdate(time.time() + self.clock_offset_s, usegmt=True)
        return web.Response(status=status, body=body, headers={"Date": date})

    def _refusal(self, exc: _Refused) -> web.Response:
        refusal = Refusal(reason=exc.reason, message=f"refused as {exc.reason}")
        return self._answer(exc.status, msgspec.json.encode(refusal))

    # The rules.

    def _issue(self, request: web.Request, body: bytes) -> IssuedCertificate:
        if self.refuses is not None:
            raise _Refused(403, self.refuses)
        csr = x509.load_pem_x509_csr(self.gives_for.encode() or body)
        assert csr.is_signature_valid
        key = hashlib.sha256(
            csr.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        ).hexdigest()
        authorization = request.headers.get("Authorization", "")
        if authorization:
            self._use_token(authorization.removeprefix("Bearer "), key)
            asker = None
        elif RECOVERY_HEADER in request.headers:
            asker = self._recovering(csr, body, request.headers[RECOVERY_HEADER])
        else:
            asker = self._accepted(_peer(request))
        return self._sign(csr, key, asker)

    def _use_token(self, text: str, key: str) -> None:
        signed, _, signature = text.rpartition(".")
        if signature != _signature(signed):
            raise _Refused(403, RefusalReason.BAD_TOKEN)
        claims = json.loads(base64.urlsafe_b64decode(signed.split(".")[1] + "=="))
        if claims["exp"] <= time.time():
            raise _Refused(403, RefusalReason.TOKEN_EXPIRED)
        if claims["site"] != self.site:
            raise _Refused(403, RefusalReason.OTHER_SITE)
        token = claims["jti"]
        if token in self.state.revoked_tokens:
            raise _Refused(403, RefusalReason.TOKEN_REVOKED)
        if self.state.used.get(token, key) != key:
            raise _Refused(403, RefusalReason.TOKEN_USED)
        if self.state.current is not None and self.state.current[1] != key:
            raise _Refused(409, RefusalReason.SITE_HAS_EDGE)
        self.state.used[token] = key

    def _recovering(self, csr: x509.CertificateSigningRequest, body: bytes, proof: str) -> int:
        expired = x509.load_pem_x509_certificate(body)
        public = expired.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        message = recovery_message(csr.public_bytes(DER))
        try:
            expired.verify_directly_issued_by(self._ca)
            public.verify(base64.b64decode(proof), message, ec.ECDSA(hashes.SHA256()))
        except InvalidSignature as exc:
            raise _Refused(403, RefusalReason.CERTIFICATE_UNKNOWN) from exc
        return self._accepted_serial(expired.serial_number)

    def _accepted(self, peer_der: bytes | None) -> int:
        if self.refuses is not None:
            raise _Refused(403, self.refuses)
        if peer_der is None:
            raise _Refused(403, RefusalReason.NO_CERTIFICATE)
        return self._accepted_serial(x509.load_der_x509_certificate(peer_der).serial_number)

    def _accepted_serial(self, serial: int) -> int:
        if serial in self.state.revoked:
            raise _Refused(403, RefusalReason.CERTIFICATE_REVOKED)
        current = self.state.current[0] if self.state.current is not None else None
        if serial not in (current, self.state.previous):
            raise _Refused(403, RefusalReason.CERTIFICATE_SUPERSEDED)
        return serial

    def _sign(
        self, csr: x509.CertificateSigningRequest, key: str, asker: int | None
    ) -> IssuedCertificate:
        now = datetime.datetime.now(datetime.UTC)
        serial = x509.random_serial_number()
        certificate = (
            x509.CertificateBuilder()
            .subject_name(csr.subject)
            .issuer_name(self._ca.subject)
            .public_key(csr.public_key())
            .serial_number(serial)
            .not_valid_before(now - datetime.timedelta(minutes=5))
            .not_valid_after(now + datetime.timedelta(seconds=self.lifetime_s))
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=True)
            .sign(self._ca_key, hashes.SHA256())
        )
        self.state.current, self.state.previous = (serial, key), asker
        self.state.issued += 1
        pem = certificate.public_bytes(PEM).decode()
        return IssuedCertificate(certificate=pem, authorities=self.ca_pem)

    def context(self, name: str) -> ssl.SSLContext:
        """Make a server's context with a certificate of the site's CA."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._ca.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(self._ca_key, hashes.SHA256())
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile() as file:
            Path(file.name).write_bytes(private_pem(key) + certificate.public_bytes(PEM))
            context.load_cert_chain(file.name)
        context.load_verify_locations(cadata=self.ca_pem)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context


class OpeningProxy:
    """Listens in front of a provider and opens TLS with a certificate of its own.

    Attributes:
        address: Where it listens.
        seen: What it could read.
    """

    def __init__(self, provider: EnrollingProvider) -> None:
        self._provider = provider
        self.address = ""
        self.seen = ""

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[OpeningProxy]:
        """Pass connections on until the block ends."""
        name = provider_dns_name(self._provider.site)
        own = EnrollingProvider(self._provider.site).context(name)
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0, ssl=own)
        async with server:
            self.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
            yield self

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            self.seen += request.decode()
            unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
            far_reader, far_writer = await asyncio.open_connection(
                "127.0.0.1", self._provider.port, ssl=unverified
            )
            far_writer.write(request)
            writer.write(await far_reader.read())
            far_writer.close()
            await writer.drain()
        writer.close()


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a key as PEM."""
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _base64(document: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def _signature(signed: str) -> str:
    digest = hmac.digest(TOKEN_KEY, signed.encode(), "sha256")
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _peer(request: web.Request) -> bytes | None:
    assert request.transport is not None
    peer: bytes | None = request.transport.get_extra_info("ssl_object").getpeercert(True)
    return peer


def _make_ca(site: SiteName) -> tuple[ec.EllipticCurvePrivateKey, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"edgelet-site-{site}")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return key, certificate.public_bytes(PEM).decode()
