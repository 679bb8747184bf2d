"""Whether to pull, and how long to wait after a failure."""

from __future__ import annotations

import pytest

from edge_runtime.images.pull_policy import (
    PullBackoff,
    PullDecision,
    classify_pull_error,
    decide_pull,
)


@pytest.mark.parametrize(
    ("policy", "is_present", "expected"),
    [
        ("Always", True, PullDecision.PULL),
        ("Always", False, PullDecision.PULL),
        ("IfNotPresent", True, PullDecision.USE),
        ("IfNotPresent", False, PullDecision.PULL),
        ("Never", True, PullDecision.USE),
        ("Never", False, PullDecision.REFUSE),
    ],
)
def test_decisions(policy: str, is_present: bool, expected: PullDecision) -> None:
    """The table of the API's documentation."""
    assert decide_pull(policy, is_present=is_present) is expected


def test_the_wait_doubles_up_to_five_minutes() -> None:
    """10, 20, 40, 80, 160, 300, 300 seconds."""
    backoff, now, waits = PullBackoff(), 0.0, []
    for _ in range(7):
        backoff.failed("u", "i", text="t", now=now)
        wait = 0.0
        while backoff.waiting("u", "i", now=now + wait) == "t":
            wait += 10
        waits.append(wait)
        now += wait
    assert waits == [10, 20, 40, 80, 160, 300, 300]


def test_it_is_per_pod_and_image() -> None:
    """Another pod may try, and the same pod another image."""
    backoff = PullBackoff()
    backoff.failed("u", "i", text="t", now=0)
    assert backoff.waiting("u", "i", now=1) == "t"
    assert backoff.waiting("v", "i", now=1) is None
    assert backoff.waiting("u", "j", now=1) is None
    backoff.forget("u")
    assert backoff.waiting("u", "i", now=1) is None


def test_an_old_failure_does_not_count() -> None:
    """After twice the longest wait it starts at 10 s again, and nothing is kept."""
    backoff = PullBackoff()
    backoff.failed("u", "i", text="t", now=0)
    backoff.failed("u", "i", text="t", now=10)
    backoff.failed("u", "i", text="t", now=611)
    assert backoff.waiting("u", "i", now=620.9) == "t"
    assert backoff.waiting("u", "i", now=621) is None
    backoff.failed("v", "j", text="t", now=2000)
    assert list(backoff._failures) == [("v", "j")]


@pytest.mark.parametrize(
    ("text", "reason", "message"),
    [
        ("no such host", "ErrImagePull", "no such host"),
        (
            "RegistryUnavailable: down",
            "RegistryUnavailable",
            "image pull failed for i because the registry is unavailable: down",
        ),
        (
            "SignatureValidationFailed",
            "SignatureValidationFailed",
            "image pull failed for i because the signature validation failed",
        ),
    ],
)
def test_kinds_of_failure(text: str, reason: str, message: str) -> None:
    """The runtime's word comes first in its text."""
    assert classify_pull_error("i", text) == (reason, message)
