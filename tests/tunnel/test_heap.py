"""Freed memory that stays in the process."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

from tunnel.heap import KEPT_BYTES, keep_freed_memory

if TYPE_CHECKING:
    import pytest

ROUNDS = 50
# Takes and frees as much as a turn of a busy tunnel, and prints how many pages came anew.
TURNS = f"""
import resource, sys
from tunnel.heap import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def turn():
    return [bytes(65_500) for _ in range(16)]
turn()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range({ROUNDS}):
    turn()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES_OF_A_TURN = 16 * 16


def page_faults(mode: str) -> int:
    """Return how many pages a process took anew."""
    command = [sys.executable, "-c", TURNS, mode]
    return int(subprocess.run(command, capture_output=True, check=True, text=True).stdout)


def test_what_was_freed_is_taken_again_without_the_kernel() -> None:
    """Otherwise each turn takes all of its pages anew."""
    assert page_faults("leave") > ROUNDS * PAGES_OF_A_TURN / 2
    assert page_faults("keep") < 2 * PAGES_OF_A_TURN
    assert KEPT_BYTES > 16 * 65_500


def test_a_library_without_mallopt_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the one of musl."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace())
    assert keep_freed_memory() is False
