"""How results are printed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from provider.commands.output import moment, remark, show_fields, show_json, show_table

if TYPE_CHECKING:
    import pytest


def test_columns_are_as_wide_as_they_need_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    """No blanks at the ends of lines."""
    show_table(("ID", "STATE"), [("abcdef", "valid"), ("x", "used")])
    assert capsys.readouterr().out == "ID      STATE\nabcdef  valid\nx       used\n"


def test_fields_stand_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    """Name, then value."""
    show_fields([("Site", "a"), ("Valid until", "never")])
    assert capsys.readouterr().out == "Site:        a\nValid until: never\n"


def test_remarks_do_not_get_in_the_way(capsys: pytest.CaptureFixture[str]) -> None:
    """What reads the output reads the result alone."""
    show_json({"a": 1})
    remark("made")
    assert capsys.readouterr() == ('{\n  "a": 1\n}\n', "made\n")


def test_moments_are_in_utc() -> None:
    """As the API writes them."""
    assert moment(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02T03:04:05Z"
    east = timezone(timedelta(hours=2))
    assert moment(datetime(2026, 1, 2, 3, 4, 5, tzinfo=east)) == "2026-01-02T01:04:05Z"
    assert moment(None) is None
