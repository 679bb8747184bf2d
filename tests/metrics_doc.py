"""What docs/metrics.md says is exposed, and what a page exposes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

METRICS_DOC = Path(__file__).resolve().parents[1] / "docs/metrics.md"
_PAGE = re.compile(r"## `(/[a-z/]+)`")
_ROW = re.compile(r"\| `([a-z][a-z0-9_]*)`( \*)? \| (counter|gauge|histogram) \|")
_TYPE = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentedFamily:
    """One row.

    Attributes:
        kind: Its type.
        is_always: Whether every scrape has it, whatever runs on the site.
    """

    kind: str
    is_always: bool


def documented() -> dict[str, dict[str, DocumentedFamily]]:
    """Return the families of each page, by name.

    Raises:
        AssertionError: A row cannot be read, or a family is listed twice.
    """
    pages: dict[str, dict[str, DocumentedFamily]] = {}
    families: dict[str, DocumentedFamily] | None = None
    for line in METRICS_DOC.read_text().splitlines():
        if line.startswith("## "):
            page = _PAGE.match(line)
            families = pages.setdefault(page[1], {}) if page else None
        elif families is not None and line.startswith("| `"):
            row = _ROW.match(line)
            assert row is not None, line
            assert row[1] not in families, line
            families[row[1]] = DocumentedFamily(kind=row[3], is_always=not row[2])
    return pages


def exposed(text: str) -> dict[str, str]:
    """Return the families of a page by name, and their types."""
    return dict(_TYPE.findall(text))
