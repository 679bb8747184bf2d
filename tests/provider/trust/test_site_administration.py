"""What an operator's commands change."""

from __future__ import annotations

import datetime
import functools
from typing import TYPE_CHECKING

import pytest

from provider.trust.errors import NotPossible, SecretCorrupt
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tests.fakes.site_objects import put_secrets, put_site, secret_data
from tests.fakes.trust_site import DAY_S, SITE, TrustSite, load_site
from tunnel.identity import claimed_site, parse_join_token

if TYPE_CHECKING:
    from provider.kube.client import KubeClient

CA_SECRET = "edgelet-site-ca"


@on_api_server
async def test_a_token_can_be_made_before_the_provider_ran(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """It makes the CA, which the provider then finds."""
    put_site(server)
    site = TrustSite(server, kube)
    made = await site.administration.create_token(ttl_s=3600, uses=2)
    ca = secret_data(server, CA_SECRET)
    await site.trust.load()
    assert secret_data(server, CA_SECRET) == ca
    authority = await site.administration.authority()
    assert made.token.ca_pin == authority.ca_pin
    assert authority.certificate_pem == site.trust.authorities_pem()
    assert parse_join_token(str(made.token)) == made.token
    assert claimed_site(made.token) == SITE
    assert (made.record.uses, made.record.expires_at - made.record.created_at) == (
        2,
        datetime.timedelta(hours=1),
    )
    assert await site.administration.list_tokens() == [made.record]
    assert made.token.jwt not in repr(made)


@on_api_server
async def test_the_secret_holds_no_token(server: FakeAPIServer, kube: KubeClient) -> None:
    """Whoever reads it learns ids only."""
    site = await load_site(server, kube)
    made = await site.administration.create_token(ttl_s=3600)
    stored = b"".join(secret_data(server, "edgelet-join-tokens").values()).decode()
    assert not any(part in stored for part in made.token.jwt.split("."))


@on_api_server
async def test_what_cannot_be_is_said_and_changes_nothing(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Values out of range, an unknown token, a CA that is not there."""
    put_site(server)
    administration = TrustSite(server, kube).administration
    with pytest.raises(NotPossible):
        await administration.create_token(ttl_s=1)
    with pytest.raises(NotPossible):
        await administration.create_token(ttl_s=3600, uses=0)
    with pytest.raises(NotPossible):
        await administration.replace_site(by="anna", ttl_s=1)
    with pytest.raises(NotPossible, match="no token"):
        await administration.revoke_token("missing")
    with pytest.raises(NotPossible, match="no CA"):
        await administration.authority()
    with pytest.raises(NotPossible, match="no CA"):
        await administration.rotate_authority(certificate_lifetime_s=1, recovery_grace_s=1)
    assert server.seen("update") == []


@on_api_server
async def test_a_revocation_takes_the_machine_s_tokens_with_it(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Those that it knows; and it can be repeated."""
    site = await load_site(server, kube)
    await site.token()
    joined = await site.joined()
    revocation = await site.administration.revoke_site(by="anna")
    unused, used = await site.administration.list_tokens()
    assert revocation.serials == (joined.serial,)
    assert revocation.token_ids == (used.id,)
    assert unused.revoked_at is None
    again = await site.administration.revoke_site(by="bert")
    assert (again.serials, again.token_ids) == ((), ())
    issued = await site.administration.certificates()
    assert [item.revoked_by for item in issued.revoked] == ["anna"]


@on_api_server
async def test_a_rotation_overlaps_until_nothing_can_come_back(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The certificate that could be issued at this moment, and its grace."""
    site = await load_site(server, kube)
    old = await site.administration.authority()
    await site.joined()
    rotation = await site.administration.rotate_authority(
        certificate_lifetime_s=10 * DAY_S, recovery_grace_s=90 * DAY_S
    )
    # The machine's certificate has 30 days.
    expected = site.clock.now + datetime.timedelta(days=120)
    assert rotation.overlap_until == expected
    view = await site.administration.authority()
    assert (view.ca_pin, view.overlap_until) == (rotation.ca_pin, expected)
    assert view.previous_pem == old.certificate_pem
    assert view.ca_pin != old.ca_pin
    site.clock.advance(120 * DAY_S)
    view = await site.administration.authority()
    assert (view.previous_pem, view.overlap_until) == ("", None)


@on_api_server
async def test_a_second_rotation_must_be_meant(server: FakeAPIServer, kube: KubeClient) -> None:
    """While the first one's overlap lasts."""
    site = await load_site(server, kube)
    rotate = functools.partial(
        site.administration.rotate_authority, certificate_lifetime_s=DAY_S, recovery_grace_s=DAY_S
    )
    first = await rotate()
    with pytest.raises(NotPossible, match="--force"):
        await rotate()
    assert (await site.administration.authority()).ca_pin == first.ca_pin
    forced = await rotate(force=True)
    assert forced.ca_pin != first.ca_pin
    site.clock.advance(2 * DAY_S)
    await rotate()


@on_api_server
async def test_a_rotation_needs_documents_that_can_be_read(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Else its tokens would be void and not be told."""
    site = await load_site(server, kube)
    ca = secret_data(server, CA_SECRET)
    put_secrets(server, {"edgelet-join-tokens": {"tokens.json": b"{"}})
    with pytest.raises(SecretCorrupt):
        await site.administration.rotate_authority(certificate_lifetime_s=1, recovery_grace_s=1)
    assert secret_data(server, CA_SECRET) == ca
