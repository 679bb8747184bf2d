"""Every claim of docs/security.md is pinned by a test that there is."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = (ROOT / "docs" / "security.md").read_text()
_TEST = re.compile(r"^(?:async )?def (test_\w+)", re.MULTILINE)


def test_named_tests_and_files_exist() -> None:
    """A test that was renamed or dropped takes its claim with it."""
    known = {
        name for file in ROOT.glob("tests/**/*.py") for name in _TEST.findall(file.read_text())
    }
    named = set(re.findall(r"`(test_\w+)`", DOCUMENT))
    files = set(re.findall(r"`(tests/[\w/]+\.py)`", DOCUMENT))

    assert len(named) > 50
    assert named - known == set()
    assert [file for file in files if not (ROOT / file).exists()] == []


def test_every_test_against_a_lying_edge_stands_behind_a_claim() -> None:
    """What is shown is also said."""
    lies = _TEST.findall((ROOT / "tests" / "security" / "test_lying_edge.py").read_text())

    assert [name for name in lies if f"`{name}`" not in DOCUMENT] == []
