"""The pseudo-terminal behaves as one for the command under it."""

from __future__ import annotations

import os

import pytest

from devcluster.terminal import Terminal, TerminalTimeout


def shell() -> Terminal:
    """Return a shell with a prompt of its own under a 24 by 80 terminal."""
    environment = {**os.environ, "PS1": "ready> "}
    return Terminal(["sh", "-i"], environment=environment, rows=24, columns=80)


def test_a_shell_shows_its_prompt_and_ends_on_exit() -> None:
    """Typed input runs, output shows, the exit status is the command's."""
    with shell() as terminal:
        terminal.expect("ready> ", timeout_s=10)
        terminal.type("echo $((6*7))\n")
        terminal.expect("\n42", timeout_s=10)
        terminal.type("exit 3\n")
        assert terminal.wait(timeout_s=10) == 3


def test_a_resize_reaches_the_command() -> None:
    """The size that stty reads is the one that was set last."""
    with shell() as terminal:
        terminal.expect("ready> ", timeout_s=10)
        terminal.type("stty size\n")
        terminal.expect("24 80", timeout_s=10)
        terminal.resize(rows=33, columns=101)
        terminal.type("stty size\n")
        terminal.expect("33 101", timeout_s=10)


def test_what_never_shows_is_reported_with_the_screen() -> None:
    """A failure says what was on the screen instead."""
    with (
        Terminal(["echo", "something"], environment=os.environ, rows=24, columns=80) as terminal,
        pytest.raises(TerminalTimeout, match="something"),
    ):
        terminal.expect("anything else", timeout_s=10)
