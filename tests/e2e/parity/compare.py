"""Compare what a site told with what the real kubelet told, field by field."""

from __future__ import annotations

import fnmatch
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.e2e.parity.normalise import events, faces, normalise, words_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tests.e2e.parity.record import Life

Json = dict[str, Any]
ABSENT = "absent"
_COLUMNS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that differs.

    Attributes:
        where: Case, moment and path, such as ``deadline/settled/phase``.
        kubelet: Its value as JSON, or ``absent``.
        site: The site's.
    """

    where: str
    kubelet: str
    site: str

    def __str__(self) -> str:
        return f"| `{self.where}` | `{self.kubelet}` | `{self.site}` |"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """A row of the table in docs/parity.md; its first three cells are patterns of the shell."""

    where: str
    kubelet: str
    site: str
    why: str

    def covers(self, difference: Difference) -> bool:
        """Tell whether the row is about this difference."""
        pairs = (
            (difference.where, self.where),
            (difference.kubelet, self.kubelet),
            (difference.site, self.site),
        )
        return all(_matches(text, pattern) for text, pattern in pairs)


def _matches(text: str, pattern: str) -> bool:
    # Brackets are part of paths and JSON here, never a set of characters.
    return fnmatch.fnmatchcase(text, pattern.replace("[", "[[]"))


def explanations(document: Path) -> list[Explanation]:
    """Read the rows of a Markdown document whose first cell is code.

    Raises:
        AssertionError: A row has not four cells, or none of them says why.
    """
    found = []
    for line in document.read_text().splitlines():
        if not line.startswith("| `"):
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        assert len(cells) == _COLUMNS, f"{document.name}: not four cells: {line}"
        where, kubelet, site = (c.strip("`").replace("\\|", "|") for c in cells[:3])
        assert cells[3], f"{document.name}: the row of {where} says not why"
        found.append(Explanation(where=where, kubelet=kubelet, site=site, why=cells[3]))
    return found


def differences(
    kubelet: Mapping[str, Life], site: Mapping[str, Life], *, nodes: tuple[str, str]
) -> list[Difference]:
    """Return all differences of all cases, in order.

    Args:
        kubelet: What the kubelet's node told, by case.
        site: What the site told.
        nodes: Names of both Nodes, the kubelet's first.
    """
    found: list[Difference] = []
    for case in kubelet:
        told = [
            _told(life, node=node)
            for life, node in zip((kubelet[case], site[case]), nodes, strict=True)
        ]
        found += _differ(*told, where=case)
    return found


def _told(life: Life, *, node: str) -> Json:
    words = words_of(life.seen, node=node)
    settled = life.settled or life.last
    return {
        "came": {"settled": life.settled is not None, "gone": life.gone},
        "settled": normalise(settled["status"], words),
        "end": normalise(life.last["status"], words),
        "life": {p: dict.fromkeys(f, "shown") for p, f in faces(life.seen, words).items()},
        "events": events(life.events, words),
    }


def _differ(kubelet: object, site: object, *, where: str) -> Iterator[Difference]:
    if isinstance(kubelet, dict) and isinstance(site, dict):
        for key in sorted({*kubelet, *site}):
            below = f"{where}/{key}"
            yield from _differ(kubelet.get(key, ABSENT), site.get(key, ABSENT), where=below)
    elif isinstance(kubelet, list) and isinstance(site, list):
        yield from _differ(_by_name(kubelet), _by_name(site), where=where)
        if [*_by_name(kubelet)] != [*_by_name(site)]:
            orders = (json.dumps([*_by_name(one)]) for one in (kubelet, site))
            yield Difference(where=f"{where} order", kubelet=next(orders), site=next(orders))
    elif kubelet != site:
        yield Difference(where=where, kubelet=_text(kubelet, site), site=_text(site, kubelet))


def _by_name(items: list[Any]) -> dict[str, Any]:
    """Return a list's items by their name, type or place."""
    return {
        str(one.get("name", one.get("type", place)) if isinstance(one, dict) else place): one
        for place, one in enumerate(items)
    }


def _text(value: object, other: object) -> str:
    if value == ABSENT:
        return ABSENT
    if other == ABSENT and isinstance(value, dict) and "involvedObject" in value:
        return "told"  # the event's name, which is in the path, says what there is to say
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def unexplained(found: Iterable[Difference], rows: Iterable[Explanation]) -> list[Difference]:
    """Return the differences that no row is about."""
    known = list(rows)
    return [one for one in found if not any(row.covers(one) for row in known)]
