"""The machine that speaks for a site: shown, revoked, replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from provider.trust.issued_certificates import IssuedCertificates
from tests.fakes.fake_api_server import FakeAPIServer
from tests.fakes.provider_command import ProviderCommand
from tests.fakes.site_objects import put_secrets, put_site, secret_data
from tests.fakes.site_pki import SitePki
from tunnel.identity import parse_join_token

if TYPE_CHECKING:
    from pathlib import Path


def issued(api: FakeAPIServer) -> IssuedCertificates:
    """Return which certificates the Secret names."""
    data = secret_data(api, "edgelet-site-certificates")["certificates.json"]
    return msgspec.json.decode(data, type=IssuedCertificates)


async def test_a_site_that_nobody_joined_says_so(tmp_path: Path) -> None:
    """No error: there is just nothing yet."""
    async with FakeAPIServer() as api:
        put_site(api)
        command = ProviderCommand(api, tmp_path)
        shown = await command("site", "show")
        listed = await command("site", "show", "-o", "json")
    assert shown.status == 0
    assert "none: no machine has joined" in shown.output
    assert listed.json["current"] is None


async def test_a_site_shows_its_certificate(tmp_path: Path) -> None:
    """Serial, how it came, how long it lasts."""
    pki = SitePki(tmp_path / "pki", site="site-a")
    async with FakeAPIServer() as api:
        put_site(api)
        put_secrets(api, pki.secrets())
        command = ProviderCommand(api, tmp_path)
        shown = await command("site", "show")
        listed = await command("site", "show", "-o", "json")
        current = issued(api).current
    assert current is not None
    assert f"{current.serial}, by join at" in shown.output
    assert listed.json["current"]["serial"] == current.serial
    assert listed.json["current"]["keyHash"] == current.key_hash
    assert listed.json["previous"] is None


async def test_a_revocation_names_the_certificate_and_who_asked(tmp_path: Path) -> None:
    """A second one changes nothing and is no failure."""
    pki = SitePki(tmp_path / "pki", site="site-a")
    async with FakeAPIServer() as api:
        put_site(api)
        put_secrets(api, pki.secrets())
        command = ProviderCommand(api, tmp_path)
        current = issued(api).current
        revoked = await command("site", "revoke")
        again = await command("site", "revoke")
        shown = await command("site", "show")
        left = issued(api)
    assert current is not None
    assert revoked.status == 0
    assert current.serial in revoked.errors
    assert left.current is None
    assert [one.revoked_by for one in left.revoked] == ["jane"]
    assert again.status == 0
    assert "no certificate that was not revoked before" in again.errors
    assert "none: revoked at" in shown.output
    assert "by jane" in shown.output


async def test_a_replacement_prints_a_token_that_replaces(tmp_path: Path) -> None:
    """The old machine's certificate is void, the new one has a token."""
    pki = SitePki(tmp_path / "pki", site="site-a")
    async with FakeAPIServer() as api:
        put_site(api)
        put_secrets(api, pki.secrets())
        command = ProviderCommand(api, tmp_path)
        replaced = await command("site", "replace", "--ttl", "1h")
        listed = await command("token", "list", "-o", "json")
        left = issued(api)
    assert replaced.status == 0
    assert parse_join_token(replaced.output).ca_pin
    assert left.current is None
    assert [one["replace"] for one in listed.json] == [True]


async def test_a_caller_that_the_cluster_does_not_name_is_unknown(tmp_path: Path) -> None:
    """The record is worth less then; the revocation is not."""
    pki = SitePki(tmp_path / "pki", site="site-a")
    async with FakeAPIServer() as api:
        put_site(api)
        put_secrets(api, pki.secrets())
        api.fail("create", "selfsubjectreviews", 404)
        revoked = await ProviderCommand(api, tmp_path)("site", "revoke")
        left = issued(api)
    assert revoked.status == 0
    assert [one.revoked_by for one in left.revoked] == ["unknown"]
