"""The ``edgelet`` command. What is heavy is imported when a command needs it, not before."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  # typer reads the annotations at run time
from typing import Annotated

import typer

from edge_runtime.config import EDGELET_VERSION, ConfigError, EdgeConfig, decode_config

# Bad input: the configuration, a file that it names, or another edgelet that holds its state.
EXIT_BAD_INPUT = 2
MAX_CONFIG_BYTES = 1 << 20

app = typer.Typer(
    name="edgelet",
    help="The edge runtime: runs a site's pods through containerd and serves the kubelet API "
    "to the cloud through a tunnel that it dials itself.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command(
    epilog="Examples:  edgelet run --config /etc/edgelet/config.yaml",
)
def run(
    config: Annotated[
        Path,
        typer.Option("--config", metavar="FILE", help="Configuration (YAML); see docs/operations."),
    ],
) -> None:
    """Run the edge until SIGTERM or SIGINT; containers keep running.

    Exit status: 0 after a planned stop, 2 when the configuration or a file that it names cannot be
    used, 1 for every other failure.
    """
    try:
        edge_config = load_config(config)
    except ConfigError as exc:
        _refuse(str(exc))

    from edge_runtime.app import StartRefused, run_edge

    try:
        status = run_edge(edge_config)
    except StartRefused as exc:
        _refuse(str(exc))
    raise typer.Exit(status)


@app.command(epilog="Examples:  edgelet version")
def version() -> None:
    """Print edgelet's version."""
    typer.echo(EDGELET_VERSION)


def load_config(path: Path) -> EdgeConfig:
    """Read a configuration file.

    Raises:
        ConfigError: It cannot be read, is no YAML, or a field is wrong; one sentence.
    """
    import yaml

    try:
        with path.open("rb") as file:
            text = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}") from exc
    if len(text) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{path} has more than {MAX_CONFIG_BYTES} bytes")
    try:
        return decode_config(yaml.safe_load(text))
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{path} is no YAML{where}") from exc
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}") from exc


def main() -> None:
    """Console script."""
    app()


def _refuse(sentence: str) -> None:
    typer.echo(f"edgelet: {sentence}", err=True)
    raise typer.Exit(EXIT_BAD_INPUT)
