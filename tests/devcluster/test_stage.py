"""The demo's stage notices what did not go as it should."""

from __future__ import annotations

import os
import time

import pytest

from devcluster.stage import Stage


@pytest.fixture
def stage() -> Stage:
    """A stage with this process's environment."""
    return Stage(os.environ)


def test_a_command_stands_above_its_output(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both streams are shown, and the output is returned."""
    assert stage.show("echo out; echo err >&2", expects=["out", "err"]) == "out\nerr\n"
    assert capsys.readouterr().out == "\n$ echo out; echo err >&2\nout\nerr\n"
    assert stage.failures == []


@pytest.mark.parametrize(
    ("command", "expects", "fails"),
    [("true", ["text"], False), ("exit 3", [], False), ("true", [], True), ("sleep 9", [], False)],
)
def test_what_is_not_as_expected_is_a_failure(
    stage: Stage, command: str, expects: list[str], *, fails: bool
) -> None:
    """A missing text, a wrong exit status, a wrong success, and what takes too long."""
    stage.show(command, expects=expects, fails=fails, timeout_s=0.5)
    assert len(stage.failures) == 1


def test_an_expected_failure_shows_its_exit_status(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit status is part of what is shown."""
    stage.show("echo no; exit 3", fails=True, expects=["no"])
    assert "exit status 3" in capsys.readouterr().out
    assert stage.failures == []


def test_eventually_waits_for_the_text(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """A command is repeated until it gives the text, and shown once."""
    stage.eventually(f"test $(date +%s%N) -gt {_soon_ns()} && echo now", expects="now", timeout_s=5)
    assert stage.failures == []
    assert capsys.readouterr().out.count("$ test") == 1


def _soon_ns() -> int:
    return time.time_ns() + 500_000_000


def test_a_terminal_that_never_answers_is_a_failure(stage: Stage) -> None:
    """The screen is shown and the failure counted."""
    stage.type_into(["sh", "-c", "echo ready; exit 4"], prompt="ready", typed=[])
    assert len(stage.failures) == 1
    assert "exit status 4" in stage.failures[0]
