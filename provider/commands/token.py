"""``edgelet-provider token``: what lets a machine join, once."""

from __future__ import annotations

import enum
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provider.commands.durations import parse_duration_s
from provider.commands.failure import BadInput
from provider.commands.output import Output, moment, remark, show_json, show_table
from provider.commands.site_access import SiteAccess, on_site
from provider.commands.site_options import (
    ConfigOption,
    KubeconfigOption,
    NamespaceOption,
    SiteOption,
    SiteTarget,
    site_target,
)
from provider.kube.timestamps import utc_now
from provider.trust.join_tokens import MAX_TTL_S, MAX_USES, MIN_TTL_S

if TYPE_CHECKING:
    from datetime import datetime

    from provider.trust.join_tokens import TokenRecord
    from provider.trust.site_administration import NewToken

app = typer.Typer(
    name="token", help="Make, list and revoke the tokens that let a machine join.",
    no_args_is_help=True,
)  # fmt: skip

# A host name, an IPv4 address or an IPv6 address in brackets, and a port.
_SERVER = re.compile(r"([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")


class TokenOutput(enum.StrEnum):
    """The form in which a token is printed."""

    TEXT = "text"
    JSON = "json"
    COMMAND = "command"


TtlOption = Annotated[
    str, typer.Option("--ttl", metavar="TIME", help="How long it is valid: 1m to 30d.")
]
TokenOutputOption = Annotated[
    TokenOutput,
    typer.Option("--output", "-o", help="The token alone, all about it, or the line to run."),
]
ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="HOST:PORT",
        help="For the line to run: how the machine reaches this provider.",
    ),
]


@app.command("create")
def create(
    site: SiteOption = None,
    config: ConfigOption = None,
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = None,
    ttl: TtlOption = "24h",
    uses: Annotated[
        int, typer.Option("--uses", min=1, max=MAX_USES, help="How many machines may use it.")
    ] = 1,
    server: ServerOption = None,
    output: TokenOutputOption = TokenOutput.TEXT,
) -> None:
    """Make a join token and print it. It is not kept: this is the only time.

    Whoever has it can join as the site until it is used or expires: hand it over like a password.

    Example: edgelet-provider token create --site site-a --ttl 1h

    Example: edgelet-provider token create --site a -o command --server edge.test:443
    """
    target = site_target(site=site, config=config, kubeconfig=kubeconfig, namespace=namespace)
    ttl_s = parse_ttl_s(ttl)
    check_server(server, output)

    async def action(access: SiteAccess) -> NewToken:
        return await access.trust.create_token(ttl_s=ttl_s, uses=uses)

    show_token(target, on_site(target, action), output=output, server=server)


@app.command("list")
def list_tokens(
    site: SiteOption = None,
    config: ConfigOption = None,
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="Table or JSON.")] = Output.TEXT,
) -> None:
    """List the site's join tokens. It says which can still be used, and which were.

    The tokens themselves are not kept anywhere. Expired ones are forgotten after a while.

    Example: edgelet-provider token list --site site-a
    """
    target = site_target(site=site, config=config, kubeconfig=kubeconfig, namespace=namespace)

    async def action(access: SiteAccess) -> list[TokenRecord]:
        return await access.trust.list_tokens()

    records, now = on_site(target, action), utc_now()
    if output is Output.JSON:
        show_json([record_json(record, now) for record in records])
    elif records:
        header = ("ID", "STATE", "CREATED", "EXPIRES", "USED", "REPLACES")
        show_table(header, [_row(record, now) for record in records])
    else:
        remark(f"{target.site} has no join tokens")


@app.command("revoke")
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `token list` shows it.")],
    site: SiteOption = None,
    config: ConfigOption = None,
    kubeconfig: KubeconfigOption = None,
    namespace: NamespaceOption = None,
) -> None:
    """Revoke a join token. A machine that joined with it stays; see `site revoke` for that.

    Example: edgelet-provider token revoke 3b6f0c1d --site site-a
    """
    target = site_target(site=site, config=config, kubeconfig=kubeconfig, namespace=namespace)

    async def action(access: SiteAccess) -> TokenRecord:
        return await access.trust.revoke_token(token_id)

    record = on_site(target, action)
    remark(f"token {record.id} of {target.site} is revoked")


def parse_ttl_s(text: str) -> float:
    """Return how long a token is valid, in seconds.

    Raises:
        BadInput: It is no length of time, or one that no token has.
    """
    ttl_s = parse_duration_s(text, option="--ttl")
    if not MIN_TTL_S <= ttl_s <= MAX_TTL_S:
        raise BadInput(f"--ttl {text} is not between 1m and 30d")
    return ttl_s


def check_server(server: str | None, output: TokenOutput) -> None:
    """Check that the line to run can be written.

    Raises:
        BadInput: It cannot.
    """
    if server is None and output is TokenOutput.COMMAND:
        raise BadInput(
            "--output command needs --server HOST:PORT, the address at which the machine "
            "reaches this provider"
        )
    if server is not None and not _SERVER.fullmatch(server):
        raise BadInput(f"--server {server!r} is not HOST:PORT")


def show_token(
    target: SiteTarget, new: NewToken, *, output: TokenOutput, server: str | None
) -> None:
    """Print a token, which is the only place where it is ever written."""
    match output:
        case TokenOutput.JSON:
            token = {"site": target.site, "token": str(new.token), "caPin": new.token.ca_pin}
            show_json(token | record_json(new.record, utc_now()))
            return
        case TokenOutput.TEXT:
            typer.echo(str(new.token))
        case TokenOutput.COMMAND:
            typer.echo(join_command(str(new.token), server=server or ""))
    uses = "once" if new.record.uses == 1 else f"{new.record.uses} times"
    remark(
        f"token {new.record.id} of {target.site}: can be used {uses} "
        f"until {moment(new.record.expires_at)}"
    )


def join_command(token: str, *, server: str) -> str:
    """Return the line to run on the machine.

    The token comes by standard input: an argument would stand in the process list. ``echo`` is
    part of the shell and no process. It has no character that a shell would change.
    """
    return f"echo {token} | sudo edgelet join --server {server} --token-file -"


def record_json(record: TokenRecord, now: datetime) -> dict[str, Any]:
    """Return what is known of a token, as JSON."""
    return {
        "id": record.id,
        "state": token_state(record, now),
        "createdAt": moment(record.created_at),
        "expiresAt": moment(record.expires_at),
        "revokedAt": moment(record.revoked_at),
        "uses": record.uses,
        "replace": record.replace,
        "used": [{"keyHash": use.key_hash, "at": moment(use.at)} for use in record.used],
    }


def token_state(record: TokenRecord, now: datetime) -> str:
    """Return whether another machine can use the token, or why not."""
    if record.revoked_at is not None:
        return "revoked"
    if len(record.used) >= record.uses:
        return "used"
    return "expired" if now >= record.expires_at else "valid"


def _row(record: TokenRecord, now: datetime) -> tuple[str, ...]:
    return (
        record.id,
        token_state(record, now),
        str(moment(record.created_at)),
        str(moment(record.expires_at)),
        f"{len(record.used)} of {record.uses}",
        "yes" if record.replace else "no",
    )
