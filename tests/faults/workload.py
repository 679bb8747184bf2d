"""What runs while the link is cut: an exec that echoes, a followed log, a port-forward.

Each checks every byte by itself, in threads, since kubectl is what people use.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import re
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.kubectl import Kubectl

PIECE_BYTES = 128 << 10
PORT = 9000
EXIT_STATUS = 7
STEP_TIMEOUT_S = 150.0
LINE_EVERY_S = 0.02
# Ends by itself when asked to, so that the follower's exit status can be checked too.
NUMBERED_LINES = (
    f"trap 'exit 0' TERM; nc -ll -p {PORT} -e cat & "
    "i=0; while [ ! -e /tmp/stop ]; do echo line $i; i=$((i+1)); usleep 20000; done; "
    "echo the end; kill %1; exit 0"
)


def pieces(size: int) -> Iterator[bytes]:
    """Yield the same random bytes each time."""
    chance = random.Random(size)  # noqa: S311 - reproducible
    while size:
        piece = chance.randbytes(min(size, PIECE_BYTES))
        size -= len(piece)
        yield piece


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a process if it still runs, and close what is left of it."""
    process.kill()
    process.wait(timeout=10)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None and not pipe.closed:
            # What it did not take any more is of no interest.
            with contextlib.suppress(OSError):
                pipe.close()


class EchoingExec:
    """`kubectl exec -i -- cat`: bytes go in at a pace, and must come out the same.

    Args:
        kubectl: In the pod's namespace.
        pod: Its name.
        size: How many bytes.
        lasts_s: Over how long they are spread; ``hurry`` ends that.
    """

    def __init__(self, kubectl: Kubectl, pod: str, *, size: int, lasts_s: float) -> None:
        self._size = size
        self._lasts_s = lasts_s
        self._hurry = threading.Event()
        self._received = hashlib.sha256()
        self._received_bytes = 0
        command = f"cat; exit {EXIT_STATUS}"
        self._process = subprocess.Popen(
            kubectl.command("exec", "-i", pod, "--", "sh", "-c", command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=kubectl.environment,
        )
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)
        ]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        assert self._process.stdin is not None
        started, sent = time.monotonic(), 0
        try:
            for piece in pieces(self._size):
                self._process.stdin.write(piece)
                sent += len(piece)
                ahead_s = sent / self._size * self._lasts_s - (time.monotonic() - started)
                if ahead_s > 0:
                    self._hurry.wait(ahead_s)
            self._process.stdin.close()
        except BrokenPipeError:
            return  # kubectl has ended; its exit status and what it received say the rest

    def _receive(self) -> None:
        assert self._process.stdout is not None
        while piece := self._process.stdout.read1(PIECE_BYTES):  # type: ignore[attr-defined]
            self._received.update(piece)
            self._received_bytes += len(piece)

    @property
    def received_bytes(self) -> int:
        """How much came back so far."""
        return self._received_bytes

    def finish(self) -> None:
        """Send the rest as fast as it goes, and check all of it.

        Raises:
            AssertionError: A byte is missing or wrong, or the exit status is not the command's.
        """
        self._hurry.set()
        status = self._process.wait(timeout=STEP_TIMEOUT_S)
        for thread in self._threads:
            thread.join(timeout=STEP_TIMEOUT_S)
        assert self._process.stderr is not None
        error = self._process.stderr.read().decode(errors="replace")
        expected = hashlib.sha256()
        for piece in pieces(self._size):
            expected.update(piece)
        assert self._received_bytes == self._size, f"{self._received_bytes} bytes; {error}"
        assert self._received.digest() == expected.digest(), "other bytes came back"
        assert status == EXIT_STATUS, f"exit status {status}; {error}"

    def stop(self) -> None:
        """Kill it."""
        end(self._process)


class FollowedLog:
    """`kubectl logs -f` of numbered lines: none may be missing, none may come twice."""

    def __init__(self, kubectl: Kubectl, pod: str) -> None:
        self._kubectl = kubectl
        self._pod = pod
        self.fault = ""
        self.lines = 0
        self.last_at = time.monotonic()
        self._process = subprocess.Popen(
            kubectl.command("logs", "-f", pod),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=kubectl.environment,
        )
        self._has_end = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line == b"the end\n":
                self._has_end = True
            elif line != b"line %d\n" % self.lines and not self.fault:
                self.fault = f"{line!r} in place of line {self.lines}"
            self.last_at = time.monotonic()
            self.lines += 1

    def wait_for_more(self, *, timeout_s: float) -> float:
        """Return after how many seconds from now new lines came.

        Raises:
            AssertionError: None came in time.
        """
        began, lines = time.monotonic(), self.lines
        while self.lines == lines:
            assert time.monotonic() - began < timeout_s, f"no line within {timeout_s:g} s"
            assert self._process.poll() is None, "the follower has ended"
            time.sleep(LINE_EVERY_S)
        return self.last_at - began

    def finish(self) -> None:
        """Let the container end, and check that the follower ends after its last line.

        Raises:
            AssertionError: A line was missing or doubled, or the follower did not end well.
        """
        self._kubectl.ok("exec", self._pod, "--", "touch", "/tmp/stop")
        status = self._process.wait(timeout=STEP_TIMEOUT_S)
        self._thread.join(timeout=STEP_TIMEOUT_S)
        assert not self.fault, self.fault
        assert self._has_end, "the log's last line is missing"
        assert status == 0

    def stop(self) -> None:
        """Kill it."""
        end(self._process)


class ForwardedPort:
    """`kubectl port-forward` and one connection through it, whose echo is checked."""

    def __init__(self, kubectl: Kubectl, pod: str) -> None:
        self.fault = ""
        self.echoed_bytes = 0
        self._sent = 0
        self._stopping = threading.Event()
        self._process = subprocess.Popen(
            kubectl.command("port-forward", f"pod/{pod}", f":{PORT}"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=kubectl.environment,
        )
        self._connection = socket.create_connection(("127.0.0.1", self._local_port()), timeout=10)
        self._connection.settimeout(STEP_TIMEOUT_S)
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._send, self._receive)
        ]
        for thread in self._threads:
            thread.start()

    def _local_port(self) -> int:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().decode()
        found = re.search(r"127\.0\.0\.1:(\d+)", line)
        assert found, f"kubectl port-forward said {line!r}"
        return int(found[1])

    def _send(self) -> None:
        try:
            while not self._stopping.wait(LINE_EVERY_S):
                line = b"%09d\n" % self._sent
                self._connection.sendall(line)
                self._sent += 1
            self._connection.shutdown(socket.SHUT_WR)
        except OSError as exc:
            self.fault = self.fault or f"sending failed: {exc}"

    def _receive(self) -> None:
        expected, rest = 0, b""
        try:
            while data := self._connection.recv(1 << 16):
                self.echoed_bytes += len(data)
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    if line != b"%09d" % expected and not self.fault:
                        self.fault = f"{line!r} in place of {expected}"
                    expected += 1
        except OSError as exc:
            self.fault = self.fault or f"receiving failed: {exc}"

    def finish(self) -> None:
        """End the sending half, and check that all of it came back.

        Raises:
            AssertionError: A byte is missing or wrong, or the connection broke.
        """
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=STEP_TIMEOUT_S)
        assert not self.fault, self.fault
        assert self.echoed_bytes == 10 * self._sent
        assert self._process.poll() is None, "kubectl port-forward has ended"

    def stop(self) -> None:
        """Kill it."""
        self._stopping.set()
        self._connection.close()
        end(self._process)


class Workload:
    """All three at once; stopped when the block is left."""

    def __init__(self, kubectl: Kubectl, pod: str, *, size: int, lasts_s: float) -> None:
        self.log = FollowedLog(kubectl, pod)
        self.exec = EchoingExec(kubectl, pod, size=size, lasts_s=lasts_s)
        self.port = ForwardedPort(kubectl, pod)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self.exec, self.port, self.log):
            one.stop()

    def finish(self) -> None:
        """Let all three end, and check all of them."""
        self.exec.finish()
        self.port.finish()
        self.log.finish()
