"""The ``edgelet`` command. What is heavy is imported when a command needs it, not before."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from edge_runtime.config import EDGELET_VERSION, ConfigError, EdgeConfig, parse_server
from edge_runtime.config_file import load_config
from edge_runtime.run_command import EXIT_BAD_INPUT
from edge_runtime.run_command import run as run_until_stopped

MAX_TOKEN_FILE_BYTES = 64 << 10
TOKEN_VARIABLE = "EDGELET_TOKEN"  # noqa: S105 - the name of a variable
STDIN = "-"

app = typer.Typer(
    name="edgelet",
    help="The edge runtime: runs a site's pods through containerd and serves the kubelet API "
    "to the cloud through a tunnel that it dials itself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Configuration (YAML), see docs/operations.md; all defaults without it.",
    ),
]


@app.command(
    epilog="Examples:  edgelet run --config /etc/edgelet/config.yaml",
)
def run(config: ConfigOption = None) -> None:
    """Run the edge until SIGTERM or SIGINT; containers keep running.

    The machine must have joined a site: see edgelet join.

    Exit status: 0 after a planned stop, 2 when the configuration, a file that it names or the
    identity cannot be used, 1 for every other failure.
    """
    raise typer.Exit(run_until_stopped(config))


@app.command(
    epilog="Examples:  edgelet join --server cloud.example:10443 --token-file token.txt  |  "
    "edgelet-provider token create | edgelet join --server cloud.example:10443 --token-file -",
)
def join(
    token: Annotated[
        str | None,
        typer.Argument(
            metavar="TOKEN",
            help="The join token. Every user of this machine sees it in the list of processes, and "
            "the shell keeps it: --token-file or EDGELET_TOKEN are better.",
            show_default=False,
        ),
    ] = None,
    *,
    server: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="The provider's edge port; else the config's."),
    ] = None,
    token_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A file that holds the token; - is standard input."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Join anew where the machine has joined before.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Join this machine to a site: one token, one certificate, then edgelet run.

    The token comes from --token-file, from standard input (--token-file -), from the environment
    variable EDGELET_TOKEN, or from the command line. HTTPS_PROXY and NO_PROXY are heeded. A join
    that was interrupted is taken up by the same command.

    Exit status: 0 joined, 2 bad option or configuration, 10 no join token, 11 wrong CA hash, 12
    token not valid, 13 token expired, 14 token used, 15 token revoked, 16 another site's, 17 clocks
    differ, 18 provider not reached, 19 not an edgelet provider, 20 TLS is intercepted, 21 joined
    before, 22 folder cannot be written, 23 the site has an edge, 24 provider is busy, 25 answer
    cannot be used, 26 proxy, 27 certificate revoked, 28 superseded, 29 unknown, 32 provider
    hung up, 33 the identity is in use, 1 anything else.
    """
    edge_config = _config_or_refuse(config)
    try:
        address = parse_server(server or edge_config.server)
    except ValueError as exc:
        _refuse(f"option --server: {exc}" if server else "name the provider with --server")
    text = _read_token(token, token_file)

    from edge_runtime.uplink.enrolment_error import EnrolmentError
    from edge_runtime.uplink.join_command import run_join

    try:
        site = run_join(
            token=text,
            server=address,
            server_text=server or edge_config.server,
            root=Path(edge_config.root_directory),
            force=force,
        )
    except EnrolmentError as exc:
        _refuse(str(exc), status=exc.trouble.exit_status)
    typer.echo(f"joined as {site}")


@app.command(epilog="Examples:  edgelet version")
def version() -> None:
    """Print edgelet's version."""
    typer.echo(EDGELET_VERSION)


def main() -> None:
    """Parse the command line and do what it says."""
    app()


def _config_or_refuse(path: Path | None) -> EdgeConfig:
    try:
        return load_config(path)
    except ConfigError as exc:
        _refuse(str(exc))


def _read_token(argument: str | None, file: str | None) -> str:
    if argument is not None and file is not None:
        _refuse("pass the token or --token-file, not both")
    if argument is not None:
        return argument
    if file is None:
        # Taken out, so that no process that is started from here inherits it.
        return os.environ.pop(TOKEN_VARIABLE, "")
    try:
        if file == STDIN:
            return sys.stdin.buffer.read(MAX_TOKEN_FILE_BYTES).decode(errors="replace")
        with Path(file).open("rb") as opened:
            return opened.read(MAX_TOKEN_FILE_BYTES).decode(errors="replace")
    except OSError as exc:
        _refuse(f"cannot read {file}: {exc.strerror}")


def _refuse(sentence: str, *, status: int = EXIT_BAD_INPUT) -> NoReturn:
    typer.echo(f"edgelet: {sentence}", err=True)
    raise typer.Exit(status)
