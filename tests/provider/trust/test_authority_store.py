"""The CA in its Secret: made once, by whoever comes first."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from provider.trust.authority_store import MAX_SITE_NAME, ensure_authority
from provider.trust.errors import SecretCorrupt, SecretUnavailable
from provider.trust.secret_store import AUTHORITY_SECRET, SecretStore
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tests.fakes.site_objects import put_secrets, put_site, secret_data
from tests.fakes.trust_site import NAMESPACE, SITE, Clock

if TYPE_CHECKING:
    from provider.kube.client import KubeClient


@on_api_server
async def test_all_who_come_first_have_one_ca(server: FakeAPIServer, kube: KubeClient) -> None:
    """Whoever loses the race takes the winner's."""
    put_site(server)
    stores = [SecretStore(kube.as_self, namespace=NAMESPACE) for _ in range(5)]
    found = await asyncio.gather(*(ensure_authority(each, SITE, now=Clock()) for each in stores))
    assert len(server.seen("update")) > 1
    assert len({authority.pin for authority in found}) == 1
    assert len({authority.token_key for authority in found}) == 1


@on_api_server
async def test_a_lost_answer_makes_no_second_ca(server: FakeAPIServer, kube: KubeClient) -> None:
    """The next try finds what was written."""
    put_site(server)
    store = SecretStore(kube.as_self, namespace=NAMESPACE)
    server.lose_answer("update", AUTHORITY_SECRET)
    # The HTTP client may send the request again by itself, which then conflicts with the first.
    with contextlib.suppress(SecretUnavailable):
        await ensure_authority(store, SITE, now=Clock())
    written = secret_data(server, AUTHORITY_SECRET)
    authority = await ensure_authority(store, SITE, now=Clock())
    assert secret_data(server, AUTHORITY_SECRET) == written
    assert authority.token_key == written["token.key"]


@on_api_server
async def test_half_a_ca_is_never_written_over(server: FakeAPIServer, kube: KubeClient) -> None:
    """A person may still have the other half."""
    put_site(server)
    put_secrets(server, {AUTHORITY_SECRET: {"ca.crt": b"half"}})
    with pytest.raises(SecretCorrupt):
        await ensure_authority(SecretStore(kube.as_self, namespace=NAMESPACE), SITE, now=Clock())
    assert secret_data(server, AUTHORITY_SECRET) == {"ca.crt": b"half"}


def test_the_longest_site_name_fits_a_certificate() -> None:
    """As system:node:<site>."""
    assert MAX_SITE_NAME == 52
