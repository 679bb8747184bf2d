"""The machine's journal."""

from __future__ import annotations

import asyncio
import sys
from contextlib import aclosing

import psutil
import pytest

from edge_runtime.logs.journal import READ_BYTES, Journal, JournalError

END_S = 10


def is_running(pid: int) -> bool:
    """Whether there is such a process, and one that has not ended."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def journal(script: str) -> Journal:
    """A journalctl that does this."""
    return Journal((sys.executable, "-c", script))


async def test_units_are_those_of_services_and_others() -> None:
    """By the name with or without ``.service``."""
    found = await journal("print('a.service\\nb.timer')").units(["a", "b", "b.timer", "service"])
    assert found == {"a", "b.timer"}


@pytest.mark.parametrize(
    "nothing", [Journal(("/none/journalctl",)), journal("raise SystemExit('no journal files')")]
)
async def test_a_machine_without_journal_knows_no_unit(nothing: Journal) -> None:
    """That is no error: its services write files."""
    assert await nothing.units(["a"]) == set()


async def test_there_is_no_output_without_journalctl() -> None:
    """With its name."""
    with pytest.raises(JournalError, match=r"journalctl: No such file"):
        _ = [piece async for piece in Journal(("/none/journalctl",)).output(())]


async def test_what_nobody_takes_ends_the_process() -> None:
    """It prints for ever, with a child of its own; both go with the reader."""
    script = (
        "import os, subprocess, sys\n"
        "child = subprocess.Popen(['sleep', '1000'])\n"
        "print(os.getpid(), child.pid, flush=True)\n"
        "while True: print('x' * 1000)"
    )
    async with aclosing(journal(script).output(())) as pieces:
        first = await anext(pieces)
        assert len(first) <= READ_BYTES
        pids = [int(word) for word in first.split(b"\n")[0].split()]
    # Only the reader's own child is waited for: the kernel ends the other one a moment later.
    async with asyncio.timeout(END_S):
        while any(map(is_running, pids)):  # noqa: ASYNC110  # no child of ours: nothing tells
            await asyncio.sleep(0.005)
