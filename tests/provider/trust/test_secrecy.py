"""Secrets are in no log and in no text, at any level."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from provider.trust.authority_secret import decode_authority
from provider.trust.errors import EnrolmentRefused
from provider.trust.serving_certificate import make_serving_certificate
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tests.fakes.site_objects import put_secrets, secret_data
from tests.fakes.trust_site import DAY_S, SITE, TrustSite, load_site, machine

if TYPE_CHECKING:
    from provider.kube.client import KubeClient


def lines_of(pem: bytes) -> list[str]:
    """Return the lines of a key that nobody else has."""
    assert load_pem_private_key(pem, password=None)
    return [line for line in pem.decode().splitlines() if not line.startswith("-")]


@on_api_server
async def test_nothing_secret_is_logged(
    server: FakeAPIServer, kube: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Through joins, refusals, failures, corruption and a rotation, at debug level."""
    caplog.set_level(logging.DEBUG)
    site = await load_site(server, kube)
    made = await site.administration.create_token(ttl_s=DAY_S)
    jwt, asker = made.token.jwt, machine()
    joined = asker.took(await site.trust.join(jwt=jwt, csr_pem=asker.csr))
    await site.use(await site.renewed(joined))
    with pytest.raises(EnrolmentRefused):
        await site.trust.join(jwt=jwt, csr_pem=machine().csr)
    with pytest.raises(EnrolmentRefused):
        await site.trust.join(jwt=jwt + "x", csr_pem=machine().csr)
    before = secret_data(server, "edgelet-site-ca")
    await site.administration.rotate_authority(certificate_lifetime_s=1, recovery_grace_s=1)
    after = secret_data(server, "edgelet-site-ca")
    server.fail("get", "edgelet-join-tokens", 500, times=3)
    with pytest.raises(EnrolmentRefused):
        await site.trust.join(jwt=jwt, csr_pem=machine().csr)
    put_secrets(server, {"edgelet-site-ca": after | {"ca.key": after["ca.key"][:80]}})
    with pytest.raises(Exception, match=r"ca\.key") as corrupt:
        await TrustSite(server, kube).trust.load()
    said = caplog.text + "".join(site.messages) + str(corrupt.value) + str(site.trust.__dict__)
    assert "certificate" in said
    secrets = [jwt, *jwt.split(".")[1:]]
    for data in (before, after):
        secrets += [*lines_of(data["ca.key"]), data["token.key"].hex(), str(data["token.key"])]
    assert [secret for secret in secrets if secret in said] == []


@on_api_server
async def test_nothing_secret_is_in_a_value_s_text(server: FakeAPIServer, kube: KubeClient) -> None:
    """A traceback or a debugger shows values as text."""
    site = await load_site(server, kube)
    made = await site.administration.create_token(ttl_s=DAY_S)
    data = secret_data(server, "edgelet-site-ca")
    authority = decode_authority(data, site=SITE)
    assert authority is not None
    serving = make_serving_certificate(
        authority, SITE, names=(), now=site.clock.now, lifetime_s=DAY_S
    )
    text = f"{made!r} {made.token!r} {authority!r} {serving!r} {site.trust!r}"
    assert made.record.id in text
    for secret in (
        made.token.jwt,
        str(data["token.key"]),
        *lines_of(data["ca.key"]),
        *lines_of(serving.key_pem),
    ):
        assert secret not in text
