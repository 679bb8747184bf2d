"""The command ``edgelet-provider``.

Exit status: 0 after a stop by signal, 1 when the provider failed, 2 for a configuration that
cannot be used.
"""

from __future__ import annotations

import sys
import typing
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import Annotated

import typer

from provider.config import EDGELET_VERSION, Config, ConfigError, parse_config

# What is wrong with the configuration or with what it names.
EXIT_BAD_CONFIG = 2

app = typer.Typer(
    name="edgelet-provider",
    help="The cloud side of edgelet: makes a machine behind NAT a node of this cluster.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def run(
    config: Annotated[
        Path, typer.Option("--config", "-c", metavar="FILE", help="The configuration, YAML.")
    ],
) -> None:
    """Serve one site until SIGTERM or SIGINT.

    Example: edgelet-provider run --config /etc/edgelet/provider.yaml
    """
    try:
        values = read_config(config)
    except ConfigError as exc:
        _fail(EXIT_BAD_CONFIG, str(exc))
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


def read_config(file: Path) -> Config:
    """Read and check the configuration file.

    Raises:
        ConfigError: It cannot be read, is no YAML, or says something that cannot be; names the
            file.
    """
    # Late, like all that is not needed for --help.
    import yaml

    try:
        document = yaml.safe_load(file.read_bytes())
    except OSError as exc:
        raise ConfigError(f"cannot read {file}: {exc.strerror}") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        where = getattr(exc, "problem_mark", None)
        place = f", line {where.line + 1}" if where is not None else ""
        raise ConfigError(f"{file}{place}: not YAML") from exc
    try:
        return parse_config(document)
    except ConfigError as exc:
        raise ConfigError(f"{file}: {exc}") from exc


def _run(config: Config) -> int:
    from provider.app import StartError, run_provider

    try:
        return run_provider(config)
    except StartError as exc:
        _fail(EXIT_BAD_CONFIG, str(exc))


def _fail(status: int, message: str) -> typing.NoReturn:
    typer.echo(f"edgelet-provider: {message}", err=True)
    sys.exit(status)
