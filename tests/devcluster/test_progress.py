"""What the user sees of long steps."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from devcluster import progress
from devcluster.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def test_long_step_speaks_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A step that lasts says so while it lasts, not only at its end."""
    monkeypatch.setattr(progress, "REPEAT_S", 0.001)
    reported = threading.Event()
    original: Callable[[Progress, str], None] = Progress.note

    def note(self: Progress, text: str) -> None:
        original(self, text)
        if "still at it" in text:
            reported.set()

    monkeypatch.setattr(Progress, "note", note)
    shown = Progress()
    with shown.step("building"):
        assert reported.wait(10)
    assert "building ... still at it" in capsys.readouterr().err


def test_summary_leaves_out_what_took_no_time() -> None:
    """A second `up` has one short line."""
    shown = Progress()
    with shown.step("nothing"):
        pass
    assert "nothing" not in shown.summary()
