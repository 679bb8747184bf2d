"""Each trouble of joining has a status, a remedy, and a refusal that means it."""

from __future__ import annotations

import pytest

from edge_runtime.uplink.enrolment_error import FINAL, REFUSALS, EnrolmentError, Trouble, one_line
from tunnel.enrolment import RefusalReason


@pytest.mark.parametrize("reason", RefusalReason)
def test_every_refusal_has_a_trouble(reason: RefusalReason) -> None:
    """What the provider can say, the edge can explain."""
    assert REFUSALS[reason].exit_status > 1


def test_exit_statuses_tell_troubles_apart() -> None:
    """Scripts branch on them."""
    statuses = [trouble.exit_status for trouble in Trouble]
    assert len(set(statuses)) == len(statuses)
    assert 0 not in statuses


def test_the_sentence_ends_with_what_to_do() -> None:
    """Where there is nothing to advise, there is no colon either."""
    error = EnrolmentError(Trouble.TOKEN_USED, "the token was used", retry_after_s=3.0)
    assert str(error).startswith("the token was used: make a new one")
    assert (error.is_final, error.retry_after_s) == (False, 3.0)
    assert str(EnrolmentError(Trouble.OTHER, "no answer")) == "no answer"


def test_what_only_a_person_can_mend_is_final() -> None:
    """An edge asks on for everything that may pass."""
    assert EnrolmentError(Trouble.REVOKED, "revoked").is_final
    passing = {
        Trouble.UNREACHABLE,
        Trouble.BUSY,
        Trouble.EXPIRED,
        Trouble.HUNG_UP,
        Trouble.DUPLICATE,
    }
    assert not FINAL & passing


def test_a_provider_cannot_speak_to_the_terminal() -> None:
    """Escapes and line ends become blanks, and the text is cut."""
    assert one_line("no\x1b[2J\r\nmore. ") == "no [2J  more"
    assert len(one_line("x" * 1000)) == 300
