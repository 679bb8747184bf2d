"""Join tokens by command: made, listed, revoked; and where they are not written."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from provider.commands.token import join_command, token_state
from provider.trust.join_tokens import TokenRecord, TokenUse
from tests.fakes.fake_api_server import FakeAPIServer
from tests.fakes.provider_command import ProviderCommand, run_command
from tests.fakes.site_objects import put_site, secret_data
from tunnel.identity import claimed_site, parse_join_token

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def all_files(folder: Path) -> str:
    """Return what all files below a folder hold."""
    return "".join(file.read_text() for file in folder.rglob("*"))


async def test_a_token_is_printed_alone(tmp_path: Path) -> None:
    """So that a script can take it; what a person wants to know is said beside it."""
    async with FakeAPIServer() as api:
        put_site(api)
        command = ProviderCommand(api, tmp_path)
        made = await command("token", "create", "--ttl", "1h")
    assert made.status == 0
    token = parse_join_token(made.output)
    assert made.output == f"{token}\n"
    assert claimed_site(token) == "site-a"
    assert "can be used once until" in made.errors
    assert token.jwt not in made.errors


async def test_a_token_names_the_cas_hash(tmp_path: Path) -> None:
    """Of the CA that `ca show` shows; made by the first command if no provider ever ran."""
    async with FakeAPIServer() as api:
        put_site(api)
        command = ProviderCommand(api, tmp_path)
        made = await command("token", "create", "-o", "json", "--uses", "3")
        authority = await command("ca", "show", "-o", "json")
    assert made.json["caPin"] == authority.json["caPin"]
    assert made.json["token"].startswith(f"{authority.json['caPin']}.")
    assert made.json["uses"] == 3
    assert made.json["state"] == "valid"
    assert made.json["site"] == "site-a"


async def test_a_token_is_kept_nowhere(tmp_path: Path) -> None:
    """Neither in a Secret nor in a file: printed once."""
    async with FakeAPIServer() as api:
        put_site(api)
        token = parse_join_token((await ProviderCommand(api, tmp_path)("token", "create")).output)
        everything = json.dumps([request.body for request in api.requests])
        everything += str(secret_data(api, "edgelet-join-tokens"))
    _, claims, signature = token.jwt.split(".")
    assert signature not in everything
    assert claims not in everything
    assert signature not in all_files(tmp_path)


async def test_the_line_to_run_has_the_token_in_no_argument(tmp_path: Path) -> None:
    """`echo` is a part of the shell; edgelet reads its standard input."""
    async with FakeAPIServer() as api:
        put_site(api)
        made = await ProviderCommand(api, tmp_path)(
            "token", "create", "-o", "command", "--server", "[2001:db8::7]:10443"
        )
    shown, _, joins = made.output.partition(" | ")
    assert shlex.split(joins)[:3] == ["sudo", "edgelet", "join"]
    assert "[2001:db8::7]:10443" in shlex.split(joins)
    name, token = shlex.split(shown)
    assert name == "echo"
    assert parse_join_token(token).jwt not in joins


def test_a_shell_changes_nothing_of_the_line() -> None:
    """Whatever characters a token and an address can have."""
    token = "0123456789abcdef" * 4 + ".aZ0_-.b.c"
    line = join_command(token, server="edge.test:443")
    assert token in shlex.split(line)


async def test_tokens_are_listed_and_revoked(tmp_path: Path) -> None:
    """By their ids; a revoked one stays in the list."""
    async with FakeAPIServer() as api:
        put_site(api)
        command = ProviderCommand(api, tmp_path)
        none = await command("token", "list")
        first = (await command("token", "create", "-o", "json")).json["id"]
        second = (await command("token", "create", "-o", "json")).json["id"]
        revoked = await command("token", "revoke", first)
        table = await command("token", "list")
        listed = await command("token", "list", "-o", "json")
    assert (none.status, none.output, none.errors) == (0, "", "site-a has no join tokens\n")
    assert revoked.status == 0
    assert revoked.errors == f"token {first} of site-a is revoked\n"
    header, *rows = [line.split() for line in table.output.splitlines()]
    assert header == ["ID", "STATE", "CREATED", "EXPIRES", "USED", "REPLACES"]
    assert {row[0]: row[1] for row in rows} == {first: "revoked", second: "valid"}
    assert {one["id"]: one["state"] for one in listed.json} == {first: "revoked", second: "valid"}


async def test_an_unknown_token_cannot_be_revoked(tmp_path: Path) -> None:
    """One sentence that names it, status 1."""
    async with FakeAPIServer() as api:
        put_site(api)
        ended = await ProviderCommand(api, tmp_path)("token", "revoke", "nosuch")
    assert ended.status == 1
    assert "nosuch" in ended.errors
    assert ended.errors.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--ttl", "1"), "--ttl '1' is no length of time"),
        (("--ttl", "59s"), "--ttl 59s is not between 1m and 30d"),
        (("--ttl", "31d"), "--ttl 31d is not between 1m and 30d"),
        (("--uses", "0"), "--uses"),
        (("--uses", "101"), "--uses"),
        (("-o", "command"), "needs --server HOST:PORT"),
        (("-o", "command", "--server", "host"), "--server 'host' is not HOST:PORT"),
        (("-o", "command", "--server", "a b:1"), "is not HOST:PORT"),
        (("-o", "command", "--server", "$(id):1"), "is not HOST:PORT"),
        (("-o", "xml"), "xml"),
    ],
)
def test_bad_arguments_end_with_status_2(arguments: tuple[str, ...], expected: str) -> None:
    """Before anything is asked of the API server."""
    ended = run_command("token", "create", "--site", "site-a", *arguments)
    assert ended.status == 2
    assert expected in ended.errors


def record(*, uses: int = 1, used: int = 0, revoked: bool = False, ends: int = 1) -> TokenRecord:
    """Make a record."""
    return TokenRecord(
        id="t",
        created_at=NOW - timedelta(hours=1),
        expires_at=NOW + timedelta(hours=ends),
        uses=uses,
        revoked_at=NOW if revoked else None,
        used=tuple(TokenUse(key_hash=str(number), at=NOW) for number in range(used)),
    )


@pytest.mark.parametrize(
    ("one", "state"),
    [
        (record(), "valid"),
        (record(uses=2, used=1), "valid"),
        (record(used=1), "used"),
        (record(ends=0), "expired"),
        (record(used=1, ends=-1), "used"),
        (record(revoked=True, used=1, ends=-1), "revoked"),
    ],
)
def test_a_state_says_whether_another_machine_may_join(one: TokenRecord, state: str) -> None:
    """And the first reason why not."""
    assert token_state(one, NOW) == state
