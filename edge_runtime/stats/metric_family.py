"""Prometheus' text format, written without a registry: families come and go with pods; pure.

At 110 pods the cadvisor page has some ten thousand lines, and it is asked for every 15 s: labels
are rendered once per container, not once per line.

Source: prometheus docs content/docs/instrumenting/exposition_formats.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Kind = Literal["counter", "gauge"]


class Family:
    """One family of samples.

    Args:
        name: As Prometheus shows it; counters end in ``_total``.
        kind: Its type.
        text: One line of help.
    """

    def __init__(self, name: str, kind: Kind, text: str) -> None:
        self._name = name
        self._head = f"# HELP {name} {_escape_help(text)}\n# TYPE {name} {kind}\n"
        self._lines: list[str] = []

    def add(self, labels: str, value: float, *, at_ns: int | None = None) -> None:
        """Add a sample.

        Args:
            labels: What ``render_labels`` returned.
            value: Whole numbers stay whole.
            at_ns: When it was measured, nanoseconds since the epoch; None for "now".
        """
        time = "" if at_ns is None else f" {at_ns // 1_000_000}"
        self._lines.append(f"{self._name}{labels} {value}{time}\n")

    def render(self) -> str:
        """Return the family's text, "" without samples."""
        return self._head + "".join(self._lines) if self._lines else ""


def render_labels(labels: Mapping[str, str]) -> str:
    """Return labels as they stand behind a name, "" for none."""
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def render_families(families: Iterable[Family]) -> bytes:
    """Return a whole page."""
    return "".join(each.render() for each in families).encode()


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _escape_help(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")
