"""Every failure of a command is one sentence with a status that says whose turn it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.fake_api_server import FakeAPIServer
from tests.fakes.provider_command import ProviderCommand, run_command
from tests.fakes.site_objects import put_site, secrets_path

if TYPE_CHECKING:
    from pathlib import Path

COMMANDS = (
    ("token", "create"),
    ("token", "list"),
    ("token", "revoke", "t"),
    ("site", "show"),
    ("site", "revoke"),
    ("site", "replace"),
    ("ca", "show"),
    ("ca", "rotate"),
)
EVERY = pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)


@EVERY
async def test_without_the_manifests_the_command_says_so(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """It names the Secret, and what makes it."""
    async with FakeAPIServer() as api:
        ended = await ProviderCommand(api, tmp_path)(*arguments)
    assert ended.status == 1
    assert "edgelet-site-a" in ended.errors
    assert "manifests" in ended.errors
    assert ended.errors.count("\n") == 1
    assert ended.output == ""


@EVERY
async def test_what_is_forbidden_is_named(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Not a traceback, and not that the Secret is missing."""
    async with FakeAPIServer() as api:
        put_site(api)
        for verb in ("get", "update"):
            api.fail(verb, secrets_path("site-a"), 403, times=20)
        ended = await ProviderCommand(api, tmp_path)(*arguments)
    assert ended.status == 1
    assert "may not" in ended.errors
    assert ended.errors.count("\n") == 1


@EVERY
async def test_an_api_server_that_is_away_is_named(
    arguments: tuple[str, ...], tmp_path: Path
) -> None:
    """With its reason."""
    api = FakeAPIServer()
    api.url = "http://127.0.0.1:9"
    ended = await ProviderCommand(api, tmp_path)(*arguments)
    assert ended.status == 1
    assert "API server" in ended.errors
    assert "127.0.0.1" in ended.errors
    assert ended.errors.count("\n") == 1


@EVERY
def test_every_command_has_help_with_an_example(arguments: tuple[str, ...]) -> None:
    """`--help` works without a cluster."""
    shown = run_command(*arguments[:2], "--help")
    assert shown.status == 0
    assert f"Example: edgelet-provider {arguments[0]} {arguments[1]}" in shown.output


def test_a_kubeconfig_that_cannot_be_read_is_bad_input() -> None:
    """It names the file."""
    ended = run_command("token", "list", "--site", "a", "--kubeconfig", "/no/such/file")
    assert ended.status == 2
    assert "/no/such/file" in ended.errors
    assert ended.errors.count("\n") == 1


def test_outside_of_a_pod_a_kubeconfig_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says so."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    ended = run_command("token", "list", "--site", "a")
    assert ended.status == 2
    assert "no kubeconfig is given and this is no pod" in ended.errors


async def test_a_secret_that_somebody_changes_meanwhile_is_tried_again(tmp_path: Path) -> None:
    """Compare-and-swap: what the other one wrote is not lost."""
    async with FakeAPIServer() as api:
        put_site(api)
        command = ProviderCommand(api, tmp_path)
        first = (await command("token", "create", "-o", "json")).json["id"]
        api.fail("update", "edgelet-join-tokens", 409)
        second = (await command("token", "create", "-o", "json")).json["id"]
        listed = (await command("token", "list", "-o", "json")).json
    assert [one["id"] for one in listed] == [first, second]
