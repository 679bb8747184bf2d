"""What others say speaks to no terminal."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.telemetry.plain_text import MAX_DEPTH, plain_json, plain_line, plain_text

ESCAPES = "\x00\x07\x1b[2J\r\x7f\x9b\u202e\u2066\u2028\ud800"


def test_control_characters_are_replaced_and_nothing_else() -> None:
    """Line breaks and tabs are text's own, and so is all that people write."""
    assert plain_text("a\n\tb äé 漢 🙂") == "a\n\tb äé 漢 🙂"
    assert set(plain_text(ESCAPES.replace("[2J", ""))) == {"\ufffd"}
    assert plain_line("a\n\tb") == "a\ufffd\ufffdb"
    assert plain_text("abc", max_characters=2) == "ab"


@given(st.text())
def test_any_line_can_be_shown(text: str) -> None:
    """And is encoded as UTF-8 without a failure."""
    line = plain_line(text)

    assert len(line) == len(text)
    line.encode()
    assert not any(character < " " or "\x7f" <= character < "\xa0" for character in line)


def test_json_is_made_plain_at_any_depth() -> None:
    """Keys, too; numbers, booleans and nulls stay."""
    assert plain_json({"a\x1b": ["\x1b", {"b": "\x07"}], "n": [1, True, None, 0.5]}) == {
        "a\ufffd": ["\ufffd", {"b": "\ufffd"}],
        "n": [1, True, None, 0.5],
    }


def test_json_has_a_depth() -> None:
    """What is deeper would end in the interpreter's own limit."""
    with pytest.raises(ValueError, match="levels"):
        plain_json(json.loads("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2)))
