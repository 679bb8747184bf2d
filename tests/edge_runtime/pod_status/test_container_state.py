"""States of containers as the API shows them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.pod_status.container_state import (
    WHEN_DELETED,
    WHEN_TERMINATED,
    format_time,
    lost_state,
    runtime_state,
    waiting_state,
)
from tests.fakes.runtime_values import container as attempt

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json

SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    ("time_ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_767_225_600 * SECOND_NS + SECOND_NS - 1, "2026-01-01T00:00:00Z"),
    ],
)
def test_times_are_whole_seconds(time_ns: int, text: str) -> None:
    """Cut, not rounded."""
    assert format_time(time_ns) == text


@pytest.mark.parametrize(
    ("reason", "message", "expected"),
    [
        ("", "", {}),
        ("ContainerCreating", "", {"reason": "ContainerCreating"}),
        ("ErrImagePull", "no", {"reason": "ErrImagePull", "message": "no"}),
    ],
)
def test_waiting_says_what_there_is_to_say(reason: str, message: str, expected: Json) -> None:
    """Absent fields are absent, not empty."""
    assert waiting_state(reason, message) == {"waiting": expected}


@pytest.mark.parametrize(
    ("when", "message"),
    [
        (WHEN_TERMINATED, "The container could not be located when the pod was terminated"),
        (
            WHEN_DELETED,
            "The container could not be located when the pod was deleted.  The container used to be"
            " Running",
        ),
    ],
)
def test_end_that_nobody_saw(when: str, message: str) -> None:
    """In a kubelet's words, two spaces and all."""
    assert lost_state(when) == {
        "terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": message}
    }


@pytest.mark.parametrize("was_running", [True, False])
@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (ContainerState.RUNNING, {"running": {"startedAt": "1970-01-01T00:00:10Z"}}),
        (ContainerState.CREATED, {"waiting": {}}),
        (
            ContainerState.EXITED,
            {
                "terminated": {
                    "exitCode": 3,
                    "reason": "Error",
                    "startedAt": "1970-01-01T00:00:10Z",
                    "finishedAt": "1970-01-01T00:00:20Z",
                    "containerID": "containerd://c0",
                }
            },
        ),
    ],
)
def test_state_is_what_the_runtime_says(
    state: ContainerState, was_running: bool, expected: Json
) -> None:
    """Whatever was told before."""
    status = attempt(state=state, exit_code=3, finished_at_s=20.0)
    assert runtime_state(status, was_running=was_running, runtime_name="containerd") == expected


def test_unknown_state_depends_on_what_was_told() -> None:
    """One that ran has ended: it must not look as if it were to run first."""
    status = attempt(state=ContainerState.UNKNOWN)
    told = runtime_state(status, was_running=True, runtime_name="containerd")
    assert told == lost_state(WHEN_TERMINATED)
    told = runtime_state(status, was_running=False, runtime_name="containerd")
    assert told == waiting_state()


def test_last_words_are_shown() -> None:
    """And exit code 0 is no absent field."""
    status = dataclasses.replace(
        attempt(state=ContainerState.EXITED, finished_at_s=20.0), message="bye"
    )
    ended = runtime_state(status, was_running=True, runtime_name="containerd")["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (0, "Completed", "bye")
