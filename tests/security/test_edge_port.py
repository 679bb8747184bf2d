"""The edge port against everybody who should get nothing from it.

Real TLS on loopback, the real trust, Secrets in an API server that speaks the protocol. Each test
is one claim of docs/security.md.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import hmac
import logging
import secrets
import ssl
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.fakes.edge_requests import (
    chunked,
    csr_pem,
    forge,
    key_pem,
    new_key,
    node_name,
)
from tests.fakes.trusted_edge_port import (
    INSTANCE,
    Machine,
    TrustedEdgePort,
    recovery_header,
    trusted_edge_port,
)
from tunnel.enrolment import CA_PATH, CERTIFICATE_PATH, MAX_REQUEST_BYTES, recovery_message
from tunnel.protocol import SESSION_HEADER, TUNNEL_PATH

if TYPE_CHECKING:
    from collections.abc import Mapping

GUESSES = 10_000


async def gets_nothing(port: TrustedEdgePort, machine: Machine, **options: Any) -> None:  # noqa: ANN401
    """Assert that TLS itself refuses a machine, on every path."""
    for method, path in (("GET", TUNNEL_PATH), ("GET", CERTIFICATE_PATH), ("GET", CA_PATH)):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await port.ask(method, path, machine=machine, **options)
    assert not port.client.state.connected


# Whose certificate it is.


async def test_a_certificate_of_another_ca() -> None:
    """The right name, the right form, the wrong signature."""
    async with trusted_edge_port() as port, trusted_edge_port() as other:
        stranger = await other.joined()
        await gets_nothing(port, stranger)


async def test_a_ca_that_bears_the_same_name() -> None:
    """Whoever makes a CA of the same name has another key."""
    async with trusted_edge_port() as port:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.load_pem_x509_certificate(port.secret("edgelet-site-ca")["ca.crt"]).subject
        now = datetime.datetime.now(datetime.UTC)
        authority = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        machine = Machine(key=new_key())
        signed = forge(
            ca_pem=authority.public_bytes(Encoding.PEM), ca_key_pem=key_pem(key), key=machine.key
        )
        await gets_nothing(port, machine.holds(signed))


@pytest.mark.parametrize(
    "subject",
    [
        node_name("site-b"),
        node_name("site-a", group="system:masters"),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "site-a")]),
        x509.Name([*node_name("site-a"), *node_name("site-b")]),
    ],
    ids=["another site", "another group", "no node", "two at once"],
)
async def test_the_right_ca_with_another_name(subject: x509.Name) -> None:
    """Even what our own CA signed is looked at: subject first, then whether it was issued."""
    async with trusted_edge_port() as port:
        stranger = port.forged(Machine(key=new_key()), subject=subject)
        assert (await port.dial_refused(stranger)).said == (403, "OtherSite")
        assert (await port.ask("GET", CERTIFICATE_PATH, machine=stranger)).said == (
            403,
            "OtherSite",
        )
        renewal = await port.renew(stranger, key=new_key())
        assert renewal.said == (403, "OtherSite")


async def test_a_certificate_that_nobody_issued() -> None:
    """The CA's signature is not enough: what was issued stands in the Secret."""
    async with trusted_edge_port() as port:
        edge = await port.joined()
        forged = port.forged(Machine(key=new_key()))
        same_key = port.forged(Machine(key=edge.key))
        for stranger in (forged, same_key):
            assert (await port.dial_refused(stranger)).said == (403, "CertificateUnknown")
            refused = await port.ask("GET", CERTIFICATE_PATH, machine=stranger)
            assert refused.said == (403, "CertificateUnknown")
            assert (await port.renew(stranger, key=new_key())).status == 403


async def test_site_a_stays_site_a_whatever_it_says() -> None:
    """No header and no path names a site; what looks as if is not there."""
    async with trusted_edge_port() as port:
        edge = await port.joined()
        b = "system:node:site-b"
        claims = {
            "X_Forwarded_Host": "provider.site-b.edgelet.internal",
            "X_Remote_User": b,
            "X_Remote_Group": "system:masters",
            "Impersonate_User": b,
            "X_Forwarded_Client_Cert": f'Subject="CN={b},O=system:nodes"',
            "X_Client_Subject": f"CN={b}",
            "X_Forwarded_For": "10.0.0.1",
            "Edgelet_Site": "site-b",
        }
        async with port.dial(edge, **claims):
            await port.client.wait_connected()
            assert port.client.site == "site-a"
        paths = ("/tunnel/site-b", "/tunnel?site=site-b", "/site-b/tunnel", "//tunnel", "/tunnel/")
        for path in (*paths, "/tunnel%00", "/%74unnel", "/edge.crt/../tunnel"):
            assert (await port.dial_refused(edge, path=path)).status == 404
        for path in ("/edge.crt?site=site-b", "/site-b/edge.crt", "/edge.crt/site-b"):
            assert (await port.ask("GET", path, machine=edge)).status == 404


async def test_site_a_at_the_provider_of_site_b() -> None:
    """Its certificate is of another CA there, whatever its headers and SNI say."""
    async with trusted_edge_port() as port:
        edge = await port.joined()
        async with trusted_edge_port(site="site-b") as other:
            claims = [("Edgelet-Site", "site-b"), ("X-Remote-User", "system:node:site-b")]
            await gets_nothing(other, edge, headers=claims)
            await gets_nothing(
                other, edge, headers=claims, name=port.name, context=_blind(port, edge)
            )


def _blind(port: TrustedEdgePort, machine: Machine) -> ssl.SSLContext:
    """Return the context of a client that takes any server."""
    context = port.tls(machine)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def test_an_expired_certificate() -> None:
    """It fails in the handshake; with it goes nothing but the proof of its key."""
    async with trusted_edge_port() as port:
        await gets_nothing(port, port.forged(Machine(key=new_key()), days=-1))


async def test_without_a_certificate() -> None:
    """There is the CA, and the door for tokens; nothing else."""
    async with trusted_edge_port() as port:
        assert (await port.dial_refused(None)).said == (401, "NoCertificate")
        assert (await port.ask("GET", CERTIFICATE_PATH)).said == (401, "NoCertificate")
        answer = await port.ask("POST", CERTIFICATE_PATH, body=csr_pem(new_key()))
        assert answer.said == (401, "NoCertificate")
        assert (await port.ask("GET", CA_PATH)).body == port.secret("edgelet-site-ca")["ca.crt"]


# What a certificate is for.


async def test_a_server_certificate_used_as_a_client() -> None:
    """The name alone does not make it a client's."""
    async with trusted_edge_port() as port:
        usage = ExtendedKeyUsageOID.SERVER_AUTH
        await gets_nothing(port, port.forged(Machine(key=new_key()), usage=usage))


async def test_a_client_certificate_used_as_a_server() -> None:
    """Who stole an edge's certificate cannot play the provider to it."""
    async with trusted_edge_port() as port:
        name = x509.SubjectAlternativeName([x509.DNSName(port.name)])
        machine = Machine(key=new_key())
        issued = await port.join(
            machine, await port.token(), csr=csr_pem(machine.key, extensions=[name])
        )
        edge = machine.holds(issued.issued.certificate)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        edge.load_into(context)
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
        listening = server.sockets[0].getsockname()[1]
        victim = port.tls()
        victim.check_hostname = False
        async with server:
            with pytest.raises(
                ssl.SSLCertVerificationError, match="unsuitable certificate purpose"
            ):
                await asyncio.open_connection("127.0.0.1", listening, ssl=victim)
            victim.check_hostname = True
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.open_connection(
                    "127.0.0.1", listening, ssl=victim, server_hostname=port.name
                )


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_old_tls(version: ssl.TLSVersion) -> None:
    """Not even with the best of certificates."""
    async with trusted_edge_port() as port:
        context = port.tls(await port.joined())
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1"):
            context.minimum_version = context.maximum_version = version
        for path in (TUNNEL_PATH, CA_PATH):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await port.ask("GET", path, context=context)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_both_versions_that_count_are_served(version: ssl.TLSVersion) -> None:
    """The checks above fail for what they say, and not for everybody."""
    async with trusted_edge_port() as port:
        context = port.tls(await port.joined())
        context.minimum_version = context.maximum_version = version
        assert (await port.ask("GET", CERTIFICATE_PATH, context=context)).status == 200


# What a certificate was worth once.


async def test_a_revoked_certificate_loses_its_session_at_once() -> None:
    """The session ends, dials, renewals and resumption are refused, and an event tells it."""
    async with trusted_edge_port() as port:
        edge = await port.joined()
        async with port.dial(edge) as connection:
            await port.client.wait_connected()
            response = connection.response
            assert response is not None
            session_id = response.headers[SESSION_HEADER]
            started = asyncio.get_running_loop().time()
            await port.administration.revoke_site(by="an operator")
            async with asyncio.timeout(5):
                await connection.wait_closed()
            assert asyncio.get_running_loop().time() - started < 1.0
        assert "revoked" in port.client.state.last_error
        assert "CertificateRevoked" in port.events
        revoked = (403, "CertificateRevoked")
        assert (await port.dial_refused(edge)).said == revoked
        resumption = {SESSION_HEADER.replace("-", "_"): session_id, "Edgelet_Received": "0"}
        assert (await port.dial_refused(edge, **resumption)).said == revoked
        assert (await port.ask("GET", CERTIFICATE_PATH, machine=edge)).said == revoked
        assert (await port.renew(edge, key=new_key())).said == revoked


async def test_an_interrupted_session_ends_with_the_revocation() -> None:
    """It has no connection to be closed, and must not wait for one."""
    async with trusted_edge_port() as port:
        edge = await port.joined()
        async with port.dial(edge) as connection:
            await port.client.wait_connected()
            connection.transport.abort()
            while port.client.state.connected:
                await port.client.changed()
        assert port.client.state.interrupted
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            ended = tasks.create_task(port.client.changed())
            await asyncio.sleep(0)
            await port.administration.revoke_site(by="an operator")
        assert not ended.result().interrupted


async def test_a_superseded_certificate_is_noticed() -> None:
    """A copy of the disk from before the renewal: refused, and named in an event."""
    async with trusted_edge_port() as port:
        edge = await port.joined()
        renewed = Machine(key=new_key())
        issued = (await port.renew(edge, key=renewed.key)).issued
        renewed = renewed.holds(issued.certificate)
        # Until the new one is used the answer may have been lost, and the old one is all there is.
        async with port.dial(edge):
            await port.client.wait_connected()
        assert (await port.ask("GET", CERTIFICATE_PATH, machine=renewed)).status == 200
        assert (await port.dial_refused(edge)).said == (403, "CertificateSuperseded")
        assert (await port.renew(edge, key=new_key())).said == (403, "CertificateSuperseded")
        assert "SupersededCertificate" in port.events
        async with port.dial(renewed):
            await port.client.wait_connected()


async def test_a_tunnel_is_a_use() -> None:
    """The predecessor is void once its successor carried a session."""
    async with trusted_edge_port() as port:
        edge = await port.joined()
        renewed = Machine(key=new_key())
        renewed = renewed.holds((await port.renew(edge, key=renewed.key)).issued.certificate)
        async with port.dial(renewed):
            await port.client.wait_connected()
            await port.changed_to(lambda: b'"previous":null' in _certificates(port))
            assert (await port.dial_refused(edge)).said == (403, "CertificateSuperseded")


def _certificates(port: TrustedEdgePort) -> bytes:
    return port.secret("edgelet-site-certificates")["certificates.json"]


async def test_the_tunnel_comes_back_while_the_api_server_is_away() -> None:
    """Who is known is known from memory; what must be written waits, and says so."""
    async with trusted_edge_port() as port:
        edge = await port.joined()
        jwt = await port.token()
        await port.api.close()
        async with port.dial(edge):
            await port.client.wait_connected()
        assert (await port.join(Machine(key=new_key()), jwt)).said == (503, "Unavailable")
        assert (await port.renew(edge, key=new_key())).said == (503, "Unavailable")


# Tokens.


async def test_a_token_that_was_used() -> None:
    """By the same key it is a lost answer, by another one a theft."""
    async with trusted_edge_port() as port:
        jwt = await port.token()
        edge = Machine(key=new_key())
        first = (await port.join(edge, jwt)).issued
        assert (await port.join(edge, jwt)).issued.certificate == first.certificate
        assert (await port.join(Machine(key=new_key()), jwt)).said == (403, "TokenUsed")


async def test_two_machines_with_one_token() -> None:
    """At the same moment: one of them joins."""
    async with trusted_edge_port() as port:
        jwt = await port.token()
        async with asyncio.TaskGroup() as tasks:
            joins = [tasks.create_task(port.join(Machine(key=new_key()), jwt)) for _ in range(6)]
        refused = [join.result() for join in joins if join.result().status != 200]
        assert len(refused) == 5
        assert {answer.refusal.reason for answer in refused} <= {"TokenUsed", "SiteHasEdge"}


async def test_a_site_that_has_its_edge() -> None:
    """A second machine does not get in with a token of its own, unless it replaces the first."""
    async with trusted_edge_port() as port:
        await port.joined()
        second = Machine(key=new_key())
        assert (await port.join(second, await port.token())).said == (409, "SiteHasEdge")
        replacing = await port.token(replace=True)
        assert (await port.join(second, replacing)).status == 200


async def test_a_revoked_token() -> None:
    """From the moment it is."""
    async with trusted_edge_port() as port:
        made = await port.administration.create_token(ttl_s=3600)
        await port.administration.revoke_token(made.record.id)
        answer = await port.join(Machine(key=new_key()), made.token.jwt)
        assert answer.said == (403, "TokenRevoked")


def _jwt(claims: Mapping[str, object], key: bytes | None) -> str:
    """Encode a JWT by the letter of RFC 7515; without a key an unsigned one."""
    head = {"alg": "none" if key is None else "HS256", "typ": "JWT"}
    parts = [_base64url(msgspec.json.encode(part)) for part in (head, claims)]
    text = ".".join(parts)
    signature = b"" if key is None else hmac.digest(key, text.encode(), "sha256")
    return f"{text}.{_base64url(signature)}"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _claims_of(jwt: str) -> dict[str, Any]:
    payload = jwt.split(".")[1]
    claims: dict[str, Any] = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=="))
    return claims


def _claims(port: TrustedEdgePort, **changes: object) -> dict[str, object]:
    now = int(datetime.datetime.now(datetime.UTC).timestamp())
    claims = {"site": port.site, "jti": secrets.token_hex(8), "iat": now - 60, "exp": now + 3600}
    return {**claims, **changes}


def _token_key(port: TrustedEdgePort) -> bytes:
    return port.secret("edgelet-site-ca")["token.key"]


async def test_an_expired_token() -> None:
    """Signed by the right key, and too late."""
    async with trusted_edge_port() as port:
        made = await port.administration.create_token(ttl_s=3600)
        claims = _claims_of(made.token.jwt)
        claims |= {"iat": claims["iat"] - 7200, "exp": claims["exp"] - 7200}
        late = _jwt(claims, _token_key(port))
        assert (await port.join(Machine(key=new_key()), late)).said == (403, "TokenExpired")


async def test_a_token_for_another_site() -> None:
    """It is of another key there; signed with ours it would say another site."""
    async with trusted_edge_port() as port:
        async with trusted_edge_port(site="site-b") as other:
            answer = await port.join(Machine(key=new_key()), await other.token())
            assert answer.said == (403, "OtherSite")
        forged = _jwt(_claims(port, site="site-b"), _token_key(port))
        assert (await port.join(Machine(key=new_key()), forged)).said == (403, "OtherSite")


async def test_a_token_that_nobody_made() -> None:
    """Not signed, signed by another key, by a public value, or of an id that is not known."""
    async with trusted_edge_port() as port:
        genuine = await port.token()
        head, claims, signature = genuine.split(".")
        flipped = signature[:-2] + ("A" if signature[-2] != "A" else "B") + signature[-1]
        ca = port.secret("edgelet-site-ca")["ca.crt"]
        forged = [
            f"{head}.{claims}.{flipped}",
            f"{head}.{claims}.",
            _jwt(_claims(port), None),
            _jwt(_claims(port), secrets.token_bytes(32)),
            _jwt(_claims(port), ca[-64:]),
            _jwt(_claims(port), _token_key(port)),
            "a.b.c",
            "x",
        ]
        machine = Machine(key=new_key())
        for token in forged:
            status, reason = (await port.join(machine, token)).said
            assert (status, reason) in {(401, "BadToken"), (403, "BadToken"), (403, "TokenRevoked")}
        assert port.secret("edgelet-site-certificates") == {}


async def test_ten_thousand_guesses() -> None:
    """Nearly all are turned away unread, and whoever has a certificate does not notice."""
    async with trusted_edge_port() as port:
        edge = await port.joined()
        guess = _jwt(_claims(port), secrets.token_bytes(32))
        context, body = port.tls(), csr_pem(new_key())
        statuses: dict[int, int] = {}

        async def guesser(count: int) -> None:
            for _ in range(count):
                answer = await port.ask(
                    "POST",
                    CERTIFICATE_PATH,
                    context=context,
                    headers=[("Authorization", f"Bearer {guess}")],
                    body=body,
                )
                statuses[answer.status] = statuses.get(answer.status, 0) + 1
                if answer.status == 429:
                    assert answer.refusal.reason == "TooManyRequests"
                    assert int(answer.headers["retry-after"]) >= 1

        started = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(20):
                tasks.create_task(guesser(GUESSES // 20))
            renewals = [await port.renew(edge, key=new_key()) for _ in range(3)]
        elapsed_s = asyncio.get_running_loop().time() - started
        assert [renewal.status for renewal in renewals] == [200, 200, 200]
        assert sum(statuses.values()) == GUESSES
        # Ten at once, then one in five seconds.
        assert GUESSES - statuses[429] <= 10 + elapsed_s * 0.2 + 1
        # An honest newcomer from the same address is told when to come again.
        late = await port.join(Machine(key=new_key()), await port.token(replace=True))
        assert late.said == (429, "TooManyRequests")


# Requests for certificates.


async def test_what_a_csr_requests_is_not_looked_at() -> None:
    """Other names, a CA's rights, a server's usage: the certificate has none of it."""
    async with trusted_edge_port() as port:
        wishes = [
            x509.SubjectAlternativeName([x509.DNSName(port.name), x509.DNSName("kubernetes")]),
            x509.BasicConstraints(ca=True, path_length=None),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        ]
        key = new_key()
        csr = csr_pem(key, extensions=wishes)
        answer = await port.join(Machine(key=key), await port.token(), csr=csr)
        certificate = x509.load_pem_x509_certificate(answer.issued.certificate.encode())
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        assert not constraints.ca
        with pytest.raises(x509.ExtensionNotFound):
            certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert certificate.subject == node_name("site-a") or set(certificate.subject) == set(
            node_name("site-a")
        )


def _tampered(csr: bytes) -> bytes:
    """Return a CSR whose signature is another's."""
    der = bytearray(x509.load_pem_x509_csr(csr).public_bytes(Encoding.DER))
    der[-1] ^= 1
    return (
        ssl.DER_cert_to_PEM_cert(bytes(der)).replace("CERTIFICATE", "CERTIFICATE REQUEST").encode()
    )


def _exchanged() -> bytes:
    """Return a CSR that names somebody else's key."""
    mine, theirs = csr_pem(new_key()), new_key().public_key()
    ours = x509.load_pem_x509_csr(mine)
    der = ours.public_bytes(Encoding.DER)
    spki = [
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for key in (ours.public_key(), theirs)
    ]
    swapped = der.replace(spki[0], spki[1])
    return ssl.DER_cert_to_PEM_cert(swapped).replace("CERTIFICATE", "CERTIFICATE REQUEST").encode()


def _bad_requests() -> dict[str, tuple[bytes, str]]:
    rsa_1024 = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    rsa_3 = rsa.generate_private_key(public_exponent=3, key_size=2048)
    nobody = x509.Name([])
    twice = x509.Name([*node_name("site-a"), x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    good = csr_pem(new_key())
    return {
        "another site": (csr_pem(new_key(), subject=node_name("site-b")), "OtherSite"),
        "masters": (
            csr_pem(new_key(), subject=node_name("site-a", group="system:masters")),
            "OtherSite",
        ),
        "nobody": (csr_pem(new_key(), subject=nobody), "OtherSite"),
        "two names": (csr_pem(new_key(), subject=twice), "OtherSite"),
        "bad signature": (_tampered(good), "BadRequest"),
        "another's key": (_exchanged(), "BadRequest"),
        "RSA 1024": (csr_pem(rsa_1024), "BadRequest"),
        "RSA exponent 3": (csr_pem(rsa_3), "BadRequest"),
        "P-192": (csr_pem(ec.generate_private_key(ec.SECP192R1())), "BadRequest"),
        "Ed25519": (csr_pem(ed25519.Ed25519PrivateKey.generate(), algorithm=None), "BadRequest"),
        "empty": (b"", "BadRequest"),
        "junk": (b"\x00" * 1000, "BadRequest"),
        "cut": (good[: len(good) // 2], "BadRequest"),
    }


async def test_requests_that_must_not_be_signed() -> None:
    """Neither with a token, nor in a renewal; and the token is not spent by them."""
    async with trusted_edge_port() as port:
        jwt = await port.token()
        machine = Machine(key=new_key())
        for number, (name, (csr, reason)) in enumerate(_bad_requests().items()):
            # A source for each: the limit is another test's.
            answer = await port.join(machine, jwt, csr=csr, source=f"127.0.1.{number}")
            assert answer.status in {400, 403}, name
            assert answer.refusal.reason == reason, name
        edge = machine.holds((await port.join(machine, jwt)).issued.certificate)
        for name, (csr, reason) in _bad_requests().items():
            answer = await port.ask("POST", CERTIFICATE_PATH, machine=edge, body=csr)
            assert answer.refusal.reason == reason, name


async def test_a_body_of_two_megabytes() -> None:
    """It is refused by its length, unread; one that hides its length, after 16 KiB."""
    async with trusted_edge_port() as port:
        authorization = ("Authorization", f"Bearer {await port.token()}")
        body = csr_pem(new_key()) + b"\n" * (2 << 20)
        answers = [
            # Only the head is sent: nothing of the body is waited for.
            await port.ask("POST", CERTIFICATE_PATH, headers=[authorization], length=len(body)),
            await port.ask("POST", CERTIFICATE_PATH, headers=[authorization], body=body),
            await port.ask(
                "POST",
                CERTIFICATE_PATH,
                headers=[authorization, ("Transfer-Encoding", "chunked")],
                body=chunked(body),
            ),
        ]
        assert [answer.said for answer in answers] == [(413, "BadRequest")] * 3


async def test_a_body_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds its connection for a while and no longer."""
    async with trusted_edge_port() as port:
        monkeypatch.setattr("provider.edge_link.enrolment.BODY_TIMEOUT_S", 0.2)
        answer = await port.ask(
            "POST",
            CERTIFICATE_PATH,
            headers=[("Authorization", f"Bearer {await port.token()}")],
            body=b"-----BEGIN",
            length=MAX_REQUEST_BYTES,
        )
        assert answer.said == (408, "BadRequest")


async def test_requests_that_are_none() -> None:
    """Each is refused as what it is, in the one form that the edge knows."""
    async with trusted_edge_port() as port:
        edge = await port.joined()
        bearer = ("Authorization", "Bearer a.b.c")
        recovery = recovery_header(b"x")
        wrong = {
            "two tokens": [bearer, bearer],
            "token and recovery": [bearer, recovery],
            "another scheme": [("Authorization", "Basic YTpi")],
            "no token": [("Authorization", "Bearer")],
            "long token": [("Authorization", "Bearer " + "a" * 3000)],
            "no base64": [("Edgelet-Recovery", "%%%")],
            "nothing expired": [recovery],
        }
        for number, (name, headers) in enumerate(wrong.items()):
            answer = await port.ask(
                "POST",
                CERTIFICATE_PATH,
                headers=headers,
                body=csr_pem(new_key()),
                source=f"127.0.1.{number}",
            )
            assert answer.said == (400, "BadRequest"), name
        for method, path in (
            ("PUT", CERTIFICATE_PATH),
            ("DELETE", CERTIFICATE_PATH),
            ("POST", CA_PATH),
            ("POST", TUNNEL_PATH),
            ("OPTIONS", TUNNEL_PATH),
        ):
            answer = await port.ask(method, path, machine=edge)
            assert answer.said == (405, "BadRequest")
            assert answer.headers["allow"]
        assert (await port.ask("GET", "/")).said == (404, "BadRequest")
        assert "aiohttp" not in (await port.ask("GET", "/")).headers["server"]


# Recovery.


async def test_a_recovery_needs_the_old_key() -> None:
    """The expired certificate itself is no secret: it went over every wire."""
    async with trusted_edge_port() as port:
        edge = await port.joined()
        thief = new_key()
        csr = csr_pem(thief)
        der = x509.load_pem_x509_csr(csr).public_bytes(Encoding.DER)
        other = x509.load_pem_x509_csr(csr_pem(edge.key)).public_bytes(Encoding.DER)
        signatures = [
            b"",
            thief.sign(recovery_message(der), ec.ECDSA(hashes.SHA256())),
            # The right key over another CSR, and over the CSR without its purpose.
            edge.key.sign(recovery_message(other), ec.ECDSA(hashes.SHA256())),
            edge.key.sign(der, ec.ECDSA(hashes.SHA256())),
        ]
        for signature in signatures:
            answer = await port.ask(
                "POST",
                CERTIFICATE_PATH,
                headers=[recovery_header(signature)],
                body=csr + edge.certificate,
            )
            assert answer.status in {400, 403}
        assert (await port.ask("GET", CERTIFICATE_PATH, machine=edge)).status == 200


# What is told.


async def test_secrets_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Not even at debug level, in success and in failure, of ours and of the libraries."""
    async with trusted_edge_port() as port:
        caplog.set_level(logging.DEBUG)
        jwt = await port.token()
        edge = Machine(key=new_key())
        edge = edge.holds((await port.join(edge, jwt)).issued.certificate)
        await port.join(Machine(key=new_key()), jwt)
        await port.join(Machine(key=new_key()), jwt + "x")
        await port.renew(edge, key=new_key())
        response = None
        async with port.dial(edge) as connection:
            await port.client.wait_connected()
            response = connection.response
        assert response is not None
        authority = port.secret("edgelet-site-ca")
        # The client of this test logs what it sends; it is no part of the provider.
        ours = [record for record in caplog.records if not record.name.startswith("websockets")]
        logged = "\n".join(record.getMessage() for record in ours)
        assert "tunnel" in logged or ours
        secret_texts = [
            jwt,
            jwt.rpartition(".")[2],
            response.headers[SESSION_HEADER],
            authority["ca.key"].decode().splitlines()[1],
            authority["token.key"].hex(),
            repr(authority["token.key"]),
        ]
        for text in secret_texts:
            assert text not in logged
        assert INSTANCE not in logged
