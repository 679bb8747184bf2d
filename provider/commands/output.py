"""How results are printed: on stdout what was asked for, on stderr what is said about it."""

from __future__ import annotations

import enum
import json
from typing import TYPE_CHECKING, Any

import typer

from provider.kube.timestamps import format_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime


class Output(enum.StrEnum):
    """The form of a result."""

    TEXT = "text"
    JSON = "json"


def show_json(value: Any) -> None:  # noqa: ANN401 - any JSON
    """Print a value as JSON."""
    typer.echo(json.dumps(value, indent=2))


def show_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows below a header, in columns as wide as they need to be."""
    lines = [header, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        typer.echo("  ".join(cells).rstrip())


def show_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one pair a line."""
    pairs = list(fields)
    width = max(len(name) for name, _ in pairs) + 1
    for name, value in pairs:
        typer.echo(f"{f'{name}:'.ljust(width)} {value}")


def remark(sentence: str) -> None:
    """Say something about the result, where it does not get in the way of what reads it."""
    typer.echo(sentence, err=True)


def moment(value: datetime | None) -> str | None:
    """Return a moment as the API writes it."""
    return None if value is None else format_time(value)
