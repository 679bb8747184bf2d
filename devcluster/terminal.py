"""A command under a real pseudo-terminal, driven as a person would: read, type, resize."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

READ_BYTES = 65536
KEPT_BYTES = 1 << 20


class TerminalTimeout(Exception):
    """What was expected did not show on the screen in time."""


class Terminal:
    """One command that has the terminal to itself.

    `setsid --ctty` makes the terminal its controlling one, so that a resize reaches it as SIGWINCH.
    The last 1 MiB of output is kept; older output is dropped.
    """

    def __init__(
        self, command: Sequence[str], *, environment: Mapping[str, str], rows: int, columns: int
    ) -> None:
        self._master, slave = pty.openpty()
        self.screen = ""
        self._read_upto = 0
        self.resize(rows=rows, columns=columns)
        try:
            self._process = subprocess.Popen(
                ["setsid", "--ctty", *command],
                stdin=slave,
                stdout=slave,
                stderr=slave,
                env={**environment, "TERM": "xterm"},
            )
        except OSError:
            os.close(self._master)
            raise
        finally:
            os.close(slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill the command if it still runs, and close the terminal."""
        self._process.kill()
        self._process.wait(timeout=10)
        os.close(self._master)

    def resize(self, *, rows: int, columns: int) -> None:
        """Change the window's size; the command gets SIGWINCH."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: str) -> None:
        """Type the text; a newline is the Enter key."""
        os.write(self._master, text.encode())

    def expect(self, text: str, *, timeout_s: float) -> str:
        """Wait until the text shows after all that was expected before, and return what led to it.

        Raises:
            TerminalTimeout: It did not show in time, or the command ended without showing it.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.screen.find(text, self._read_upto)
            if found >= 0:
                end = found + len(text)
                shown = self.screen[self._read_upto : end]
                self._read_upto = end
                return shown
            if not self._read_more(deadline):
                msg = f"{text!r} did not show within {timeout_s:g} s; screen: {self.screen!r}"
                raise TerminalTimeout(msg)

    def wait(self, *, timeout_s: float) -> int:
        """Read to the end and return the command's exit status.

        Raises:
            subprocess.TimeoutExpired: The command still runs after that many seconds.
        """
        deadline = time.monotonic() + timeout_s
        while self._read_more(deadline):
            pass
        return self._process.wait(timeout=max(0.1, deadline - time.monotonic()))

    def _read_more(self, deadline: float) -> bool:
        """Read once; False at the deadline and at the end of output."""
        remaining_s = deadline - time.monotonic()
        readable, _, _ = select.select([self._master], [], [], max(0.0, remaining_s))
        if not readable:
            return False
        try:
            data = os.read(self._master, READ_BYTES)
        except OSError:
            # EIO: the last process that held the other side has closed it (Linux pty semantics).
            return False
        self.screen += data.decode(errors="replace")
        dropped = max(0, len(self.screen) - KEPT_BYTES)
        self.screen = self.screen[dropped:]
        self._read_upto = max(0, self._read_upto - dropped)
        return bool(data)
