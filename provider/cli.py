"""The command ``edgelet-provider``.

Exit status: 0 after a stop by signal or a command that did what it says, 1 when the provider or the
command failed, 2 for arguments or a configuration that cannot be used.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import Annotated

import typer

from provider.commands import ca, site, token
from provider.commands.config_file import read_config
from provider.commands.failure import EXIT_BAD_INPUT, FailingGroup, fail
from provider.config import EDGELET_VERSION, Config, ConfigError, with_node_address

app = typer.Typer(
    name="edgelet-provider",
    cls=FailingGroup,
    help="The cloud side of edgelet: makes a machine behind NAT a node of this cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for group in (token.app, site.app, ca.app):
    app.add_typer(group)


@app.command()
def run(
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="The configuration, YAML.")
    ],
    node_address: Annotated[
        str | None,
        typer.Option(
            "--node-address",
            metavar="IP",
            help="What the Node publishes; else the configuration's.",
        ),
    ] = None,
) -> None:
    """Serve one site until SIGTERM or SIGINT.

    Example: edgelet-provider run --config /etc/edgelet/provider.yaml
    """
    try:
        values = with_node_address(read_config(config), node_address)
    except ConfigError as exc:
        fail(EXIT_BAD_INPUT, str(exc))
    raise typer.Exit(_run(values))


@app.command()
def version() -> None:
    """Print the version.

    Example: edgelet-provider version
    """
    typer.echo(EDGELET_VERSION)


def main() -> None:
    """Run the command."""
    app()


def _run(config: Config) -> int:
    from provider.app import StartError, run_provider

    try:
        return run_provider(config)
    except StartError as exc:
        fail(EXIT_BAD_INPUT, str(exc))
