"""Run kubectl as a person does, with a deadline on every call."""

from __future__ import annotations

import json
import queue
import shlex
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one finished command gave."""

    command: str
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode(errors="replace")

    @property
    def error(self) -> str:
        """Standard error as text."""
        return self.stderr.decode(errors="replace")

    def __str__(self) -> str:
        return f"`{self.command}` → {self.status}\n{self.text[-2000:]}{self.error[-2000:]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of output, without its end, and the wall-clock time it arrived here."""

    text: str
    arrived: float


class Running:
    """A kubectl that still runs, read line by line.

    Standard output is collected by a thread, since a blocked read would hide the deadline.
    At most 100 000 lines are kept; a test that prints more should use a file.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._lines: queue.Queue[Line | None] = queue.Queue(maxsize=100_000)
        self._errors: list[bytes] = []
        self._threads = [
            threading.Thread(target=self._collect_lines, daemon=True),
            threading.Thread(target=self._collect_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _collect_lines(self) -> None:
        for raw in _opened(self.process.stdout):
            text = raw.decode(errors="replace").rstrip("\n")
            self._lines.put(Line(text=text, arrived=time.time()))
        self._lines.put(None)

    def _collect_errors(self) -> None:
        self._errors.extend(_opened(self.process.stderr))

    @property
    def error(self) -> str:
        """Standard error so far."""
        return b"".join(self._errors).decode(errors="replace")

    def line(self, *, containing: str = "", timeout_s: float = 15) -> Line:
        """Return the next line that contains the text; lines before it are dropped.

        Raises:
            AssertionError: No such line within the time, or the output ended before it.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.001, deadline - time.monotonic()))
            except queue.Empty:
                msg = f"no line with {containing!r} within {timeout_s} s; stderr: {self.error}"
                raise AssertionError(msg) from None
            if line is None:
                msg = f"the output ended before a line with {containing!r}; stderr: {self.error}"
                raise AssertionError(msg)
            if containing in line.text:
                return line

    def arrived(self, *, timeout_s: float) -> Iterator[Line]:
        """Yield the lines that are there, waiting at most so long for the first of them.

        Raises:
            AssertionError: The output has ended.
        """
        while True:
            try:
                line = self._lines.get(timeout=max(0.001, timeout_s))
            except queue.Empty:
                return
            assert line is not None, f"the output ended; stderr: {self.error}"
            yield line
            timeout_s = 0

    def send(self, data: bytes) -> None:
        """Write to its standard input at once."""
        stdin = _opened(self.process.stdin)
        stdin.write(data)
        stdin.flush()

    def wait(self, *, timeout_s: float) -> int:
        """Return the exit status; standard error is complete afterwards.

        Raises:
            subprocess.TimeoutExpired: It still runs after that many seconds.
        """
        status = self.process.wait(timeout=timeout_s)
        for thread in self._threads:
            thread.join(timeout=5)
        return status


class Kubectl:
    """kubectl of the devcluster, in one namespace."""

    def __init__(self, environment: Mapping[str, str], *, namespace: str = "default") -> None:
        self._environment = dict(environment)
        self.namespace = namespace
        found = shutil.which("kubectl", path=environment.get("PATH"))
        assert found is not None, "no kubectl on the PATH that `python -m devcluster env` prints"
        self.binary = found

    def within(self, namespace: str, **environment: str) -> Kubectl:
        """Return the same kubectl for another namespace, with more environment variables."""
        return Kubectl({**self._environment, **environment}, namespace=namespace)

    def command(self, *args: str) -> list[str]:
        """Return the whole command line of these arguments."""
        return [self.binary, "--namespace", self.namespace, *args]

    @property
    def environment(self) -> dict[str, str]:
        """The environment that kubectl runs in."""
        return dict(self._environment)

    def run(self, *args: str, stdin: bytes = b"", timeout_s: float = 60) -> Outcome:
        """Run to the end, whatever the exit status.

        Raises:
            subprocess.TimeoutExpired: It did not end in time; it is killed.
        """
        command = self.command(*args)
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            env=self._environment,
            timeout=timeout_s,
            check=False,
        )
        return Outcome(
            command=shlex.join(["kubectl", *command[1:]]),
            status=done.returncode,
            stdout=done.stdout,
            stderr=done.stderr,
        )

    def ok(self, *args: str, stdin: bytes = b"", timeout_s: float = 60) -> str:
        """Run, expect exit status 0, return standard output.

        Raises:
            AssertionError: Any other exit status, with what it printed.
        """
        outcome = self.run(*args, stdin=stdin, timeout_s=timeout_s)
        assert outcome.status == 0, outcome
        return outcome.text

    def json(self, *args: str, timeout_s: float = 60) -> Json:
        """Run with `-o json` and decode the answer."""
        decoded: Json = json.loads(self.ok(*args, "-o", "json", timeout_s=timeout_s))
        return decoded

    def apply(self, *objects: Json) -> None:
        """Apply objects in one call."""
        listing = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.ok("apply", "-f", "-", stdin=json.dumps(listing).encode())

    def wait(self, condition: str, *names: str, timeout_s: float = 60) -> None:
        """Wait with `kubectl wait --for=CONDITION` until all the names have it."""
        self.ok(
            "wait",
            f"--for={condition}",
            *names,
            f"--timeout={timeout_s:g}s",
            timeout_s=timeout_s + 15,
        )

    @contextmanager
    def running(self, *args: str) -> Iterator[Running]:
        """Run in the background; killed at the end of the block if it is still there."""
        process = subprocess.Popen(
            self.command(*args),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self._environment,
        )
        with process:
            try:
                yield Running(process)
            finally:
                process.kill()


def _opened(stream: IO[bytes] | None) -> IO[bytes]:
    """Return a pipe that was asked for, which the type of Popen cannot tell."""
    assert stream is not None
    return stream
