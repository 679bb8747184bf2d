"""What an edge that keeps to the rules gets from /ca.crt and /edge.crt."""

from __future__ import annotations

import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from provider.edge_link.rate_limit import Rate
from tests.fakes.edge_requests import csr_pem, new_key
from tests.fakes.trusted_edge_port import Machine, recovery_header, trusted_edge_port
from tunnel.enrolment import CA_PATH, CERTIFICATE_PATH, PEM_TYPE, recovery_message
from tunnel.identity import ca_pin


async def test_the_ca_is_what_tokens_pin() -> None:
    """Whoever fetched it unverified compares it with the token."""
    async with trusted_edge_port() as port:
        made = await port.administration.create_token(ttl_s=60)
        answer = await port.ask("GET", CA_PATH)
        assert answer.headers["content-type"] == PEM_TYPE
        assert answer.headers["cache-control"] == "no-store"
        der = ssl.PEM_cert_to_DER_cert(answer.body.decode())
        assert ca_pin(der) == made.token.ca_pin


async def test_a_machine_joins_and_opens_its_tunnel() -> None:
    """One token, one request, one certificate that works at once."""
    async with trusted_edge_port() as port:
        edge = await port.joined()
        assert (await port.ask("GET", CERTIFICATE_PATH, machine=edge)).status == 200
        async with port.dial(edge):
            await port.client.wait_connected()


async def test_a_renewal_needs_nothing_but_the_connections_certificate() -> None:
    """And whoever did not hear the answer asks again, with the old one."""
    async with trusted_edge_port() as port:
        edge, key = await port.joined(), new_key()
        lost = (await port.renew(edge, key=key)).issued
        again = (await port.renew(edge, key=key)).issued
        assert again.certificate == lost.certificate
        renewed = Machine(key=key).holds(again.certificate)
        assert (await port.ask("GET", CERTIFICATE_PATH, machine=renewed)).status == 200


async def test_renewals_are_limited_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """An edge that runs wild does not write to the API server without end."""
    rate = Rate(burst=2, per_s=0.001)
    monkeypatch.setattr("provider.edge_link.enrolment.RENEWAL_RATE", rate)
    async with trusted_edge_port() as port:
        edge, key = await port.joined(), new_key()
        statuses = [(await port.renew(edge, key=key)).status for _ in range(3)]
        assert statuses == [200, 200, 429]


@pytest.mark.parametrize("first", ["csr", "certificate"])
async def test_a_recovery_by_the_old_key(first: str) -> None:
    """Without a client certificate: an expired one would not pass the handshake."""
    async with trusted_edge_port() as port:
        edge, key = await port.joined(), new_key()
        csr = csr_pem(key)
        der = x509.load_pem_x509_csr(csr).public_bytes(Encoding.DER)
        signature = edge.key.sign(recovery_message(der), ec.ECDSA(hashes.SHA256()))
        parts = (csr, edge.certificate) if first == "csr" else (edge.certificate, csr)
        answer = await port.ask(
            "POST",
            CERTIFICATE_PATH,
            headers=[recovery_header(signature)],
            body=b"".join(parts),
        )
        if first == "certificate":
            assert answer.said == (400, "BadRequest")
            return
        recovered = Machine(key=key).holds(answer.issued.certificate)
        assert (await port.ask("GET", CERTIFICATE_PATH, machine=recovered)).status == 200


async def test_a_new_ca_leaves_the_edge_connected() -> None:
    """Old certificate, old CA on the edge, new CA at the provider: verified both ways."""
    async with trusted_edge_port() as port:
        edge = await port.joined()
        old_ca = port.secret("edgelet-site-ca")["ca.crt"]
        old = port.tls(edge, ca_pem=old_ca)
        async with port.dial(edge):
            await port.client.wait_connected()
            before = port.trust.edge_context()
            await port.administration.rotate_authority(
                certificate_lifetime_s=3600, recovery_grace_s=3600
            )
            await port.changed_to(lambda: port.trust.edge_context() is not before)
            assert port.client.state.connected
            answer = await port.ask("GET", CERTIFICATE_PATH, context=old)
            assert answer.status == 200
            key = new_key()
            issued = await port.ask("POST", CERTIFICATE_PATH, context=old, body=csr_pem(key))
            renewed = Machine(key=key).holds(issued.issued.certificate)
            new = port.tls(renewed, ca_pem=issued.issued.authorities.encode())
            assert (await port.ask("GET", CERTIFICATE_PATH, context=new)).status == 200
