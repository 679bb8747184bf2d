"""Show commands and their output, and remember whether each gave what it should."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from devcluster.layout import PROJECT_ROOT
from devcluster.terminal import Terminal, TerminalTimeout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHOWN_LINES = 120


class Stage:
    """Where the demo happens: a shell's environment, and what has gone wrong so far."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._started = time.monotonic()
        self.failures: list[str] = []
        self.shown = 0

    def section(self, title: str) -> None:
        """Begin a part of the demo."""
        print(f"\n=== {title} [{time.monotonic() - self._started:.0f} s]", flush=True)

    def show(
        self,
        command: str,
        *,
        expects: Sequence[str] = (),
        fails: bool = False,
        timeout_s: float = 60,
    ) -> str:
        """Run a shell command, print it above its output, and return the output.

        Args:
            command: One line for bash; standard output and standard error are shown together.
            expects: Texts that have to be in the output.
            fails: The command has to end with another status than 0, which is then shown.
            timeout_s: Seconds after which the command is killed and counts as failed.
        """
        print(f"\n$ {command}", flush=True)
        try:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=PROJECT_ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            output = (expired.stdout or b"").decode(errors="replace")
            self._print(output)
            self._judge(command, f"still ran after {timeout_s:g} s")
            return output
        output = done.stdout.decode(errors="replace")
        self._print(output)
        if done.returncode:
            print(f"exit status {done.returncode}", flush=True)
        if fails != bool(done.returncode):
            self._judge(command, f"exit status {done.returncode}")
        elif missing := [text for text in expects if text not in output]:
            self._judge(command, f"the output lacks {missing}")
        else:
            self._judge(command, "")
        return output

    def type_into(
        self, command: Sequence[str], *, prompt: str, typed: Sequence[tuple[str, str]]
    ) -> None:
        """Run a command under a pseudo-terminal, type into it, and show the screen.

        Args:
            command: Program and arguments; the terminal has 24 rows and 80 columns at first.
            prompt: Text to wait for before the first input.
            typed: Pairs of what is typed and what has to show after it. `resize ROWS COLUMNS`
                resizes the window instead.
        """
        shown = " ".join(command)
        print(f"\n$ {shown}        (under a pseudo-terminal of 24 by 80)", flush=True)
        failure = ""
        with Terminal(command, environment=self._environment, rows=24, columns=80) as terminal:
            try:
                terminal.expect(prompt, timeout_s=20)
                for text, answer in typed:
                    if text.startswith("resize "):
                        rows, columns = text.split()[1:]
                        terminal.resize(rows=int(rows), columns=int(columns))
                    else:
                        terminal.type(f"{text}\n")
                    terminal.expect(answer, timeout_s=10)
                status = terminal.wait(timeout_s=20)
                failure = f"exit status {status}" if status else ""
            except (TerminalTimeout, subprocess.TimeoutExpired) as error:
                failure = str(error)
            self._print(terminal.screen.replace("\r\n", "\n"))
        self._judge(shown, failure)

    def eventually(self, command: str, *, expects: str, timeout_s: float) -> None:
        """Repeat a shell command until the text is in its output; then show it once.

        A command that never gives it is shown with what it gave last, and counts as failed.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            done = subprocess.run(
                ["bash", "-c", command],
                cwd=PROJECT_ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=30,
                check=False,
            )
            if expects.encode() in done.stdout + done.stderr:
                break
            time.sleep(0.2)
        self.show(f"{command} 2>&1 | cat", expects=[expects])

    def _print(self, output: str) -> None:
        lines = output.splitlines()
        for line in lines[:SHOWN_LINES]:
            print(line)
        if len(lines) > SHOWN_LINES:
            print(f"… and {len(lines) - SHOWN_LINES} lines more")

    def _judge(self, command: str, failure: str) -> None:
        self.shown += 1
        if failure:
            self.failures.append(f"{command}: {failure}")
            print(f"!!! not as it should be: {failure}", flush=True)
