"""The site's CA by command: shown, rotated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.fakes.fake_api_server import FakeAPIServer
from tests.fakes.provider_command import ProviderCommand, run_command
from tests.fakes.site_objects import put_secrets, put_site, secret_data
from tests.fakes.site_pki import SitePki
from tunnel.identity import ca_pin

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_ca_is_shown_by_its_hash(tmp_path: Path) -> None:
    """And as PEM; never with its key."""
    pki = SitePki(tmp_path / "pki", site="site-a")
    async with FakeAPIServer() as api:
        put_site(api)
        put_secrets(api, pki.secrets())
        command = ProviderCommand(api, tmp_path)
        text = await command("ca", "show")
        pem = await command("ca", "show", "-o", "pem")
        listed = await command("ca", "show", "-o", "json")
    certificate = x509.load_pem_x509_certificate(pki.ca_file.read_bytes())
    pin = ca_pin(certificate.public_bytes(Encoding.DER))
    assert pin in text.output
    assert "Predecessor:  none" in text.output
    assert pem.output == pki.ca_file.read_text()
    assert listed.json["caPin"] == pin
    assert listed.json["overlapUntil"] is None
    for shown in (text, pem, listed):
        assert "PRIVATE KEY" not in shown.output + shown.errors


async def test_without_a_ca_there_is_nothing_to_show(tmp_path: Path) -> None:
    """One sentence, status 1."""
    async with FakeAPIServer() as api:
        put_site(api)
        ended = await ProviderCommand(api, tmp_path)("ca", "show")
    assert ended.status == 1
    assert ended.errors.count("\n") == 1


async def test_a_rotation_asks_before_tokens_become_void(tmp_path: Path) -> None:
    """And names them, before and after."""
    async with FakeAPIServer() as api:
        put_site(api)
        command = ProviderCommand(api, tmp_path)
        token = (await command("token", "create", "-o", "json")).json
        before = secret_data(api, "edgelet-site-ca")
        asked = await command("ca", "rotate")
        between = secret_data(api, "edgelet-site-ca")
        rotated = await command("ca", "rotate", "--yes")
        shown = await command("ca", "show", "-o", "json")
    assert asked.status == 2
    assert token["id"] in asked.errors
    assert "--yes" in asked.errors
    assert between == before
    assert rotated.status == 0
    assert f"void from now on: join token {token['id']}" in rotated.errors
    assert shown.json["caPin"] in rotated.output
    assert shown.json["caPin"] != token["caPin"]
    assert shown.json["overlapUntil"] is not None


async def test_a_rotation_without_tokens_asks_nothing(tmp_path: Path) -> None:
    """There is nothing to lose."""
    pki = SitePki(tmp_path / "pki", site="site-a")
    async with FakeAPIServer() as api:
        put_site(api)
        put_secrets(api, pki.secrets())
        command = ProviderCommand(api, tmp_path)
        rotated = await command("ca", "rotate", "-o", "json")
        again = await command("ca", "rotate")
        forced = await command("ca", "rotate", "--force")
    assert rotated.status == 0
    assert rotated.json["voidedTokens"] == []
    assert again.status == 1
    assert forced.status == 0


def test_bad_lifetimes_are_named() -> None:
    """Each by its option."""
    for option in ("--certificate-lifetime", "--recovery-grace"):
        ended = run_command("ca", "rotate", "--site", "site-a", option, "soon")
        assert ended.status == 2
        assert f"{option} 'soon' is no length of time" in ended.errors
