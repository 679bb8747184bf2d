"""What the user sees of a long step: one line when it starts, its time when it ends."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

REPEAT_S = 10.0


class Progress:
    """Prints steps and remembers how long each took."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._took: list[tuple[str, float]] = []

    def note(self, text: str) -> None:
        """Print one line with the time since the start."""
        print(f"[{time.monotonic() - self._start:6.1f}s] {text}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step; while it lasts longer than ten seconds, say so every ten seconds."""
        begin = time.monotonic()
        self.note(f"{name} ...")
        ended = threading.Event()

        def repeat() -> None:
            while not ended.wait(REPEAT_S):
                self.note(f"{name} ... still at it after {time.monotonic() - begin:.0f} s")

        reporter = threading.Thread(target=repeat, name="progress", daemon=True)
        reporter.start()
        try:
            yield
        finally:
            ended.set()
            reporter.join()
        self._took.append((name, time.monotonic() - begin))

    def summary(self) -> str:
        """Return one line: where the time went, slowest first; steps under 0.1 s are left out."""
        total = time.monotonic() - self._start
        slow = sorted((took for took in self._took if took[1] >= 0.1), key=lambda t: -t[1])
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in slow)
        return f"{total:.1f} s in all: {parts}" if parts else f"{total:.1f} s in all"
