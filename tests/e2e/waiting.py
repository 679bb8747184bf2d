"""Wait for conditions that only asking again can tell."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def eventually(
    condition: Callable[[], T], *, what: str, timeout_s: float, every_s: float = 0.2
) -> T:
    """Ask until the condition is truthy, and return what it then gave.

    Args:
        condition: Asked at once and then every `every_s` seconds; an AssertionError counts as no.
        what: The condition in words, for the failure.
        timeout_s: Seconds after which the test fails with the last answer.
        every_s: Seconds between two questions.

    Raises:
        AssertionError: The condition did not come true in time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        answer: object
        try:
            result = condition()
            if result:
                return result
            answer = result
        except AssertionError as refusal:
            answer = refusal
        if time.monotonic() >= deadline:
            msg = f"not within {timeout_s:g} s: {what}; last answer: {answer}"
            raise AssertionError(msg)
        time.sleep(every_s)
