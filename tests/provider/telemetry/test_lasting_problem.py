"""What is tried again and again is not said again and again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from provider.telemetry.lasting_problem import LastingProblem

if TYPE_CHECKING:
    import pytest


def test_a_problem_is_said_once_then_when_it_changes_and_when_it_is_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A hundred tries leave four lines."""
    caplog.set_level(logging.INFO)
    problem = LastingProblem(logging.getLogger("provider.x"), "the Lease")
    problem.solved()
    for text in ("no answer", "503 etcd"):
        for _ in range(50):
            problem.occurred(OSError(text))
    problem.solved()
    problem.solved()
    problem.occurred(OSError("503 etcd"))
    assert [record.getMessage() for record in caplog.records] == [
        "the Lease: no answer; tried again until it works",
        "the Lease: 503 etcd; tried again until it works",
        "the Lease: it works again",
        "the Lease: 503 etcd; tried again until it works",
    ]
