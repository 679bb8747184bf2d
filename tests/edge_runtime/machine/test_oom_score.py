"""Scores for the kernel's choice of a victim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.machine.oom_score import LEAST, lower_own_score, refusal

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_machine_that_allows_it(tmp_path: Path) -> None:
    """Then containers may have any score."""
    file = tmp_path / "oom_score_adj"
    file.write_text("0\n")
    assert lower_own_score(-999, file=file) == LEAST
    assert file.read_text() == "-999"
    assert refusal(-999, LEAST) == ""


def test_a_machine_that_forbids_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be lower than what we have; that is told."""
    file = tmp_path / "oom_score_adj"
    file.write_text("-17\n")

    def refuse(path: Path, text: str) -> int:
        raise PermissionError(13, "Permission denied", str(path), text)

    monkeypatch.setattr(type(file), "write_text", refuse)
    assert lower_own_score(-999, file=file) == -17
    assert "oom_score_adj -999 cannot be set" in refusal(-999, -17)
    assert "less than -17" in refusal(-999, -17)
    assert refusal(0, -17) == ""
