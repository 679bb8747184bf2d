"""Waiting until a log changes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from typing import TYPE_CHECKING, NoReturn

import pytest

from edge_runtime.logs.log_change import LogChange
from edge_runtime.logs.log_watch import POLL_PERIOD_S, LogWatch

if TYPE_CHECKING:
    from pathlib import Path

LONG_S = 30.0
SHORT_S = 0.05


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of one line."""
    path = tmp_path / "0.log"
    path.write_bytes(b"one\n")
    return path


def append(path: Path) -> None:
    """Write one more line."""
    with path.open("ab") as file:
        file.write(b"line\n")


def replace(path: Path) -> None:
    """Put the log aside and begin it anew."""
    path.rename(path.with_name("0.log.1"))
    path.write_bytes(b"two\n")


async def change(watch: LogWatch, wait_s: float = LONG_S) -> LogChange | None:
    """Wait for the next change."""
    return await watch.wait(until=asyncio.get_running_loop().time() + wait_s)


async def test_a_line_is_told_at_once(log: Path) -> None:
    """To one who waits, and to one who comes later."""
    with LogWatch(str(log)) as watch:
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(change(watch))
            await asyncio.sleep(0)
            append(log)
        assert waiting.result() is LogChange.GROWN
        append(log)
        assert await change(watch) is LogChange.GROWN


async def test_nothing_new_ends_the_wait_in_time(log: Path) -> None:
    """What happens to other files is nothing new."""
    with LogWatch(str(log)) as watch:
        append(log.with_name("1.log"))
        assert await change(watch, SHORT_S) is None


async def test_changes_that_nobody_waits_for_are_one(log: Path) -> None:
    """And a replaced log is not hidden by lines behind it."""
    with LogWatch(str(log)) as watch:
        assert await change(watch, SHORT_S) is None
        append(log)
        replace(log)
        append(log)
        await asyncio.sleep(SHORT_S)
        assert await change(watch) is LogChange.REPLACED
        assert await change(watch, SHORT_S) is None
        append(log)
        assert await change(watch) is LogChange.GROWN


async def test_a_busy_follower_costs_the_loop_nothing(log: Path) -> None:
    """Changes stay in the kernel until he waits again."""
    with LogWatch(str(log)) as watch:
        assert await change(watch, SHORT_S) is None
        append(log)
        await asyncio.sleep(SHORT_S)
        assert not asyncio.get_running_loop().remove_reader(watch_descriptor())
        assert await change(watch) is LogChange.GROWN


async def test_a_cancelled_wait_loses_no_change(log: Path) -> None:
    """The change is there for the next one."""
    with LogWatch(str(log)) as watch:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT_S):
                await change(watch)
        append(log)
        await asyncio.sleep(SHORT_S)
        assert await change(watch) is LogChange.GROWN


async def test_the_loop_never_waits_in_the_kernel(log: Path) -> None:
    """Whatever it is told of the descriptor: a read of nothing returns at once."""
    with LogWatch(str(log)) as watch:
        assert await change(watch, SHORT_S) is None
        assert not os.get_blocking(watch_descriptor())
        watch._read()
        assert await change(watch, SHORT_S) is None


async def test_closing_lets_go_of_the_kernels_watch(log: Path) -> None:
    """Closing twice is fine."""
    before = len(os.listdir("/proc/self/fd"))
    watch = LogWatch(str(log))
    assert await change(watch, SHORT_S) is None
    watch.close()
    watch.close()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_without_a_watch_the_log_is_looked_at_now_and_then(
    log: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The kernel has 128 for each user, by default."""

    def refuse() -> NoReturn:
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr("edge_runtime.logs.log_watch.Inotify", refuse)
    loop = asyncio.get_running_loop()
    with LogWatch(str(log)) as watch:
        began = loop.time()
        assert await change(watch) is LogChange.REPLACED
        assert loop.time() - began >= POLL_PERIOD_S / 2
    assert "followed without inotify" in caplog.text


def watch_descriptor() -> int:
    """The descriptor of this process's only watch."""
    found: list[int] = []
    for name in os.listdir("/proc/self/fd"):
        # The folder's own descriptor is gone by now.
        with contextlib.suppress(FileNotFoundError):
            if "inotify" in os.readlink(f"/proc/self/fd/{name}"):
                found.append(int(name))
    (descriptor,) = found
    return descriptor
