"""edge_runtime/volumes/volume_threads.py."""

from __future__ import annotations

import asyncio
import threading

import pytest

from edge_runtime.objects.pod import PodUID
from edge_runtime.volumes.volume_threads import VolumeBusy, VolumeThreads, run_blocking

UID = PodUID("uid-1")


class Hang:
    """A call that returns when it is let go; lets itself go in the end, whatever fails."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.may_return = threading.Event()

    def __call__(self) -> str:
        """Hang."""
        self.entered.set()
        self.may_return.wait(30)
        return "returned"


async def cancelled_in(threads: VolumeThreads, hang: Hang, name: str = "v") -> None:
    """Make a call that hangs, and give it up once it is in there."""

    async def attempt() -> None:
        with threads.turn(UID, name):
            await run_blocking(hang)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(attempt())
        await asyncio.to_thread(hang.entered.wait, 30)
        task.cancel()


async def test_a_call_that_hangs_is_not_made_twice() -> None:
    """It is refused in words for people, until the first one returned."""
    threads, hang = VolumeThreads(), Hang()
    await cancelled_in(threads, hang)
    with pytest.raises(VolumeBusy) as caught, threads.turn(UID, "v"):
        pass
    assert str(caught.value) == (
        'an earlier attempt at volume "v" has not ended: a disk or a server of this machine does'
        " not answer"
    )
    hang.may_return.set()
    await threads.wait_idle(UID, timeout_s=30)
    with threads.turn(UID, "v"):
        assert await run_blocking(str, 1) == "1"


async def test_other_volumes_do_not_wait() -> None:
    """Neither the pod's own nor another pod's of the same name."""
    threads, hang = VolumeThreads(), Hang()
    await cancelled_in(threads, hang)
    with threads.turn(UID, "other"):
        assert await run_blocking(str, 1) == "1"
    with threads.turn(PodUID("uid-2"), "v"):
        assert await run_blocking(str, 2) == "2"
    await threads.wait_idle(PodUID("uid-2"), timeout_s=0.0)
    hang.may_return.set()
    await threads.wait_idle(UID, timeout_s=30)


async def test_a_volume_with_a_call_in_it_is_busy() -> None:
    """So that nobody takes it away; the wait for it is bounded."""
    threads, hang = VolumeThreads(), Hang()
    await cancelled_in(threads, hang)
    with pytest.raises(VolumeBusy, match='"v"'):
        await threads.wait_idle(UID, timeout_s=0.01)
    hang.may_return.set()
    await threads.wait_idle(UID, timeout_s=30)


async def test_no_more_than_so_many_threads() -> None:
    """A further call waits for one to return, and goes on then."""
    threads, hang = VolumeThreads(max_threads=1), Hang()
    await cancelled_in(threads, hang)
    with threads.turn(UID, "other"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await run_blocking(str, 1)
        hang.may_return.set()
        assert await run_blocking(str, 1) == "1"


async def test_what_a_call_raises_comes_out() -> None:
    """As it is; the volume is free then."""
    threads = VolumeThreads()

    def fail() -> None:
        raise FileNotFoundError("gone")

    with threads.turn(UID, "v"), pytest.raises(FileNotFoundError, match="gone"):
        await run_blocking(fail)
    await threads.wait_idle(UID, timeout_s=0.0)


async def test_a_machine_without_threads_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The call counts no more, and is made once there is a thread."""
    threads = VolumeThreads(max_threads=1)

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with threads.turn(UID, "v"):
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            with pytest.raises(OSError, match="starts no more threads"):
                await run_blocking(str, 1)
        assert await run_blocking(str, 1) == "1"


async def test_without_a_turn_any_thread_will_do() -> None:
    """As of a plugin alone."""
    assert await run_blocking(int, "12", base=16) == 18
