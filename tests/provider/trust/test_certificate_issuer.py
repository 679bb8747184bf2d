"""Certificates for tokens, predecessors and old keys; through lost answers and races."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from provider.trust.errors import EnrolmentRefused
from provider.trust.site_trust import TrustSettings
from tests.fakes.edge_requests import csr_pem, new_key, node_name
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tests.fakes.site_objects import secret_data
from tests.fakes.trust_site import (
    DAY_S,
    NAMESPACE,
    Machine,
    TrustSite,
    load_site,
    machine,
    refused,
)
from tunnel.enrolment import RefusalReason

if TYPE_CHECKING:
    from provider.kube.client import KubeClient

TOKENS = "edgelet-join-tokens"
CERTIFICATES = "edgelet-site-certificates"


@on_api_server
async def test_a_token_brings_a_machine_in(server: FakeAPIServer, kube: KubeClient) -> None:
    """With a certificate for its key and nothing else, and the CA to trust."""
    site = await load_site(server, kube)
    joined = await site.joined()
    accepted = site.trust.check(joined.der)
    assert (accepted.serial, accepted.is_current) == (joined.serial, True)
    assert joined.authorities == site.trust.authorities_pem()
    current = site.issued.current
    assert current is not None
    assert (current.serial, current.proof, site.issued.previous) == (joined.serial, "join", None)
    assert "BEGIN" not in repr(accepted)


@on_api_server
async def test_extensions_of_a_request_are_ignored(server: FakeAPIServer, kube: KubeClient) -> None:
    """No other names, no CA, no server certificate."""
    site = await load_site(server, kube)
    asker = machine()
    pem = csr_pem(
        asker.key,
        extensions=[
            x509.SubjectAlternativeName([x509.DNSName("provider.site-a.edgelet.internal")]),
            x509.BasicConstraints(ca=True, path_length=None),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
        ],
    )
    issued = await site.trust.join(jwt=await site.token(), csr_pem=pem)
    extensions = x509.load_pem_x509_certificate(issued.certificate.encode()).extensions
    with pytest.raises(x509.ExtensionNotFound):
        extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]


@on_api_server
async def test_a_lost_answer_to_a_join_strands_nobody(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The same token and key get the same certificate, until the token expires."""
    site = await load_site(server, kube)
    jwt, asker = await site.token(), machine()
    first = await site.trust.join(jwt=jwt, csr_pem=asker.csr)
    site.clock.advance(DAY_S - 60)
    assert await site.trust.join(jwt=jwt, csr_pem=asker.csr) == first
    site.clock.advance(60)
    with refused(403, RefusalReason.TOKEN_EXPIRED):
        await site.trust.join(jwt=jwt, csr_pem=asker.csr)


@on_api_server
async def test_a_used_token_is_worth_nothing_to_another_key(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Not even after the first machine is gone."""
    site = await load_site(server, kube)
    jwt, asker = await site.token(), machine()
    await site.trust.join(jwt=jwt, csr_pem=asker.csr)
    with refused(403, RefusalReason.TOKEN_USED):
        await site.trust.join(jwt=jwt, csr_pem=machine().csr)
    await site.administration.revoke_site(by="anna")
    with pytest.raises(EnrolmentRefused):
        await site.trust.join(jwt=jwt, csr_pem=machine().csr)
    with pytest.raises(EnrolmentRefused):
        await site.trust.join(jwt=jwt, csr_pem=asker.csr)


@on_api_server
async def test_two_machines_with_one_token_leave_one_winner(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Both read the token unused; one write counts, the other one decides again."""
    site = await load_site(server, kube)
    jwt = await site.token()
    before = len(server.seen("update", TOKENS))
    machines = [machine() for _ in range(3)]
    answers = await asyncio.gather(
        *(site.trust.join(jwt=jwt, csr_pem=each.csr) for each in machines), return_exceptions=True
    )
    # They did collide.
    assert len(server.seen("update", TOKENS)) - before > 1
    winners = [
        (each, answer)
        for each, answer in zip(machines, answers, strict=True)
        if not isinstance(answer, BaseException)
    ]
    ((winner, answer),) = winners
    reasons = {answer.reason for answer in answers if isinstance(answer, EnrolmentRefused)}
    assert reasons == {RefusalReason.TOKEN_USED}
    assert site.trust.check(winner.took(answer).der).is_current
    (record,) = await site.administration.list_tokens()
    assert len(record.used) == 1


@on_api_server
async def test_two_tokens_for_one_site_leave_one_machine(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """A site is one machine."""
    site = await load_site(server, kube)
    tokens = [await site.token(), await site.token()]
    machines = [machine(), machine()]
    answers = await asyncio.gather(
        *(
            site.trust.join(jwt=jwt, csr_pem=each.csr)
            for jwt, each in zip(tokens, machines, strict=True)
        ),
        return_exceptions=True,
    )
    assert len([item for item in answers if not isinstance(item, BaseException)]) == 1
    (refusal,) = (item for item in answers if isinstance(item, EnrolmentRefused))
    assert refusal.reason is RefusalReason.SITE_HAS_EDGE


@on_api_server
async def test_a_site_with_a_machine_spends_no_token(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """It is refused before; after the machine's certificate expired the token is good."""
    site = await load_site(
        server, kube, settings=TrustSettings(namespace=NAMESPACE, certificate_lifetime_s=3600.0)
    )
    await site.joined()
    jwt, other = await site.token(), machine()
    with refused(409, RefusalReason.SITE_HAS_EDGE):
        await site.trust.join(jwt=jwt, csr_pem=other.csr)
    assert not (await site.administration.list_tokens())[-1].used
    site.clock.advance(3600)
    site.trust.check(other.took(await site.trust.join(jwt=jwt, csr_pem=other.csr)).der)


@on_api_server
async def test_a_machine_is_replaced(server: FakeAPIServer, kube: KubeClient) -> None:
    """The old one is revoked, the new one has a token."""
    site = await load_site(server, kube)
    old = await site.joined()
    revocation, made = await site.administration.replace_site(by="anna", ttl_s=3600)
    assert (revocation.serials, made.record.replace) == ((old.serial,), True)
    new = machine()
    new = new.took(await site.trust.join(jwt=made.token.jwt, csr_pem=new.csr))
    assert site.trust.check(new.der).is_current
    assert site.refusal_of(old) is RefusalReason.CERTIFICATE_REVOKED


@on_api_server
async def test_a_join_that_broke_between_its_two_writes_goes_on(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The token is spent on this key, and this key comes again."""
    site = await load_site(server, kube)
    jwt, asker = await site.token(), machine()
    server.fail("update", CERTIFICATES, 500)
    with refused(503, RefusalReason.UNAVAILABLE):
        await site.trust.join(jwt=jwt, csr_pem=asker.csr)
    with refused(403, RefusalReason.TOKEN_USED):
        await site.trust.join(jwt=jwt, csr_pem=machine().csr)
    site.trust.check(asker.took(await site.trust.join(jwt=jwt, csr_pem=asker.csr)).der)


@on_api_server
async def test_an_answer_lost_behind_the_provider_strands_nobody(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The API server wrote, and the provider does not know: the machine asks again."""
    site = await load_site(server, kube)
    jwt, asker, pending = await site.token(), machine(), machine()
    # The HTTP client may send the request again by itself, which then conflicts with the first.
    for name in (TOKENS, CERTIFICATES):
        server.lose_answer("update", name)
        with contextlib.suppress(EnrolmentRefused):
            await site.trust.join(jwt=jwt, csr_pem=asker.csr)
    stored = site.issued.current
    joined = asker.took(await site.trust.join(jwt=jwt, csr_pem=asker.csr))
    server.lose_answer("update", CERTIFICATES)
    with contextlib.suppress(EnrolmentRefused):
        await site.renewed(joined, pending)
    assert site.trust.check(joined.der)
    renewed = await site.renewed(joined, pending)
    assert site.issued.previous == stored
    assert site.trust.check(renewed.der).is_current


@on_api_server
async def test_a_bad_request_spends_no_token(server: FakeAPIServer, kube: KubeClient) -> None:
    """Whatever is wrong with it."""
    site = await load_site(server, kube)
    jwt = await site.token()
    for pem in (b"junk", csr_pem(new_key(), subject=node_name("site-b"))):
        with pytest.raises(EnrolmentRefused):
            await site.trust.join(jwt=jwt, csr_pem=pem)
    assert not (await site.administration.list_tokens())[0].used
    assert server.seen("update", CERTIFICATES) == []


@on_api_server
async def test_a_guess_asks_the_api_server_nothing(server: FakeAPIServer, kube: KubeClient) -> None:
    """What is not signed by this site is refused by its signature."""
    site = await load_site(server, kube)
    jwt = await site.token()
    before = len(server.requests)
    for guess in ("", "a.b.c", jwt[:-2] + "AA", jwt.split(".")[0] + ".e30."):
        with refused(401, RefusalReason.BAD_TOKEN):
            await site.trust.join(jwt=guess, csr_pem=machine().csr)
    assert len(server.requests) == before


@on_api_server
async def test_a_revoked_token_and_a_voided_one_are_refused(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """By command, and by a rotation of the CA."""
    site = await load_site(server, kube)
    first = await site.administration.create_token(ttl_s=DAY_S)
    second = await site.administration.create_token(ttl_s=DAY_S)
    await site.administration.revoke_token(first.record.id)
    with refused(403, RefusalReason.TOKEN_REVOKED):
        await site.trust.join(jwt=first.token.jwt, csr_pem=machine().csr)
    rotation = await site.administration.rotate_authority(
        certificate_lifetime_s=DAY_S, recovery_grace_s=DAY_S
    )
    assert rotation.voided_token_ids == (second.record.id,)
    restarted = TrustSite(server, kube, clock=site.clock)
    await restarted.trust.load()
    with refused(401, RefusalReason.BAD_TOKEN):
        await restarted.trust.join(jwt=second.token.jwt, csr_pem=machine().csr)


@on_api_server
async def test_a_renewal_leaves_both_until_the_new_one_is_used(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Then the old one is refused, with an event that names what may be wrong."""
    site = await load_site(server, kube)
    old = await site.joined()
    new = await site.renewed(old)
    assert not site.trust.check(old.der).is_current
    await site.use(old)
    assert site.trust.check(new.der).is_current
    await site.use(new)
    assert site.events == []
    assert site.refusal_of(old) is RefusalReason.CERTIFICATE_SUPERSEDED
    with refused(403, RefusalReason.CERTIFICATE_SUPERSEDED):
        await site.renewed(old)
    assert set(site.events) == {"SupersededCertificate"}
    assert "cloned" in site.messages[0]
    assert site.trust.check(new.der).is_current


@on_api_server
async def test_a_lost_answer_to_a_renewal_strands_nobody(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The machine asks again by the old one, with the same key or another."""
    site = await load_site(server, kube)
    old, pending = await site.joined(), machine()
    lost = await site.renewed(old, pending)
    assert await site.renewed(old, pending) == lost
    other = await site.renewed(old)
    previous = site.issued.previous
    assert previous is not None
    assert previous.serial == old.serial
    # What nobody got is void.
    assert site.refusal_of(lost) is RefusalReason.CERTIFICATE_SUPERSEDED
    await site.use(other)
    assert site.refusal_of(old) is RefusalReason.CERTIFICATE_SUPERSEDED


@on_api_server
async def test_repeated_requests_that_collide_give_one_certificate(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """A client that gave up waiting asks again while the first request still runs."""
    site = await load_site(server, kube)
    old, pending = await site.joined(), machine()
    answers = await asyncio.gather(*(site.renewed(old, pending) for _ in range(3)))
    assert len({each.serial for each in answers}) == 1
    assert site.trust.check(answers[0].der).is_current


@on_api_server
async def test_a_clone_that_renews_first_is_noticed(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The other one is refused and named, whichever it is."""
    site = await load_site(server, kube)
    old = await site.joined()
    thief = await site.renewed(old)
    await site.use(thief)
    with refused(403, RefusalReason.CERTIFICATE_SUPERSEDED):
        await site.renewed(old)
    assert site.events == ["SupersededCertificate"]


@on_api_server
async def test_an_expired_certificate_is_recovered_within_the_grace(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """By its key; the recovered one is current at once."""
    site = await load_site(server, kube)
    old = await site.joined()
    site.clock.advance(30 * DAY_S)
    assert site.refusal_of(old) is RefusalReason.CERTIFICATE_EXPIRED
    with refused(403, RefusalReason.CERTIFICATE_EXPIRED):
        await site.renewed(old)
    site.clock.advance(90 * DAY_S - 1)
    pending = machine()
    lost = await site.recovered(old, pending)
    new = await site.recovered(old, pending)
    assert new == lost
    await site.use(new)
    with refused(403, RefusalReason.CERTIFICATE_SUPERSEDED):
        await site.recovered(old)


@on_api_server
async def test_a_recovery_may_be_too_late(server: FakeAPIServer, kube: KubeClient) -> None:
    """Then the machine joins again."""
    site = await load_site(server, kube)
    old = await site.joined()
    site.clock.advance(120 * DAY_S)
    with refused(403, RefusalReason.RECOVERY_TOO_LATE):
        await site.recovered(old)
    await site.joined()


@on_api_server
async def test_a_stolen_certificate_without_its_key_recovers_nothing(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """And a certificate of one's own is not known."""
    site = await load_site(server, kube)
    joined = await site.joined()
    with refused(400, RefusalReason.BAD_REQUEST):
        await site.recovered(Machine(key=new_key(), der=joined.der))
    other = TrustSite(server, kube)
    await other.trust.load()
    before = secret_data(server, CERTIFICATES)
    await site.administration.revoke_site(by="anna")
    stranger = await site.joined()
    assert secret_data(server, CERTIFICATES) != before
    await site.administration.revoke_site(by="anna")
    with refused(403, RefusalReason.CERTIFICATE_REVOKED):
        await site.recovered(stranger)
