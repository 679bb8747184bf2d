"""The error tree: what callers may rely on."""

from __future__ import annotations

import pytest

from tunnel import errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.ProtocolError("x"), 0x1),
        (errors.WindowExceeded("x"), 0x3),
        (errors.FrameTooLarge("x"), 0x6),
        (errors.ExcessiveLoad("x"), 0xB),
        (errors.PipeError("x"), 0x1),
        (errors.SyncError("x"), 0x1),
        (errors.ProtocolError("x", error_code=0x9), 0x9),
    ],
)
def test_protocol_errors_carry_the_code_that_answers_them(
    error: errors.ProtocolError, code: int
) -> None:
    """A GOAWAY says what was wrong."""
    assert error.error_code == code
    assert str(error) == "x"
    assert isinstance(error, errors.TunnelError)


def test_ends_carry_their_reason() -> None:
    """The sentence is an attribute and the text."""
    closed = errors.SessionClosed("the link was cut")
    reset = errors.StreamReset(0x8, "reset by peer (CANCEL)")
    assert (closed.reason, str(closed)) == ("the link was cut", "the link was cut")
    assert (reset.error_code, reset.reason, str(reset)) == (8, reset.reason, reset.reason)
    assert not isinstance(closed, errors.ProtocolError)
