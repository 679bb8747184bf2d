"""Threads for what may never return: files of the machine on a disk or server that is gone.

A call into the kernel that hangs cannot be ended, only left alone. So each volume has its turn:
while a call for it is on a thread, another one for the same volume is refused, and the volume is
not taken away. What hangs costs one thread for each such volume, none of those that the rest of the
edge works on, and it does not keep the process from ending.

Source: kubernetes pkg/volume/util/nestedpendingoperations, which has the same rule.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import errno
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_runtime.objects.pod import PodUID

_T = TypeVar("_T")

# Calls at the same time; a further one waits, and what it is for is told as not ready in time.
MAX_THREADS = 64


class VolumeBusy(OSError):
    """An earlier call for the volume has not returned."""

    def __init__(self, name: str) -> None:
        super().__init__(
            errno.EBUSY,
            f'an earlier attempt at volume "{name}" has not ended: a disk or a server of this'
            " machine does not answer",
        )

    def __str__(self) -> str:
        return str(self.strerror)


class VolumeThreads:
    """Runs blocking calls for volumes; holds which of them are under way."""

    def __init__(self, *, max_threads: int = MAX_THREADS) -> None:
        self._room = asyncio.Semaphore(max_threads)
        # Calls under way, by pod and volume.
        self._calls: dict[PodUID, dict[str, int]] = {}
        self._ended = asyncio.Event()

    @contextlib.contextmanager
    def turn(self, uid: PodUID, name: str) -> Iterator[None]:
        """Have `run_blocking` within the block count for a volume.

        Raises:
            VolumeBusy: A call for it is still under way.
        """
        if self._calls.get(uid, {}).get(name):
            raise VolumeBusy(name)
        token = _turn.set((self, uid, name))
        try:
            yield
        finally:
            _turn.reset(token)

    async def wait_idle(self, uid: PodUID, *, timeout_s: float) -> None:
        """Wait until no call for any volume of a pod is under way; cancelling is safe.

        Raises:
            VolumeBusy: One still is.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while uid in self._calls:
                    await self._ended.wait()
        for name in self._calls.get(uid, ()):
            raise VolumeBusy(name)

    async def run(self, uid: PodUID, name: str, call: Callable[[], _T]) -> _T:
        """Make a call on a thread; cancelling leaves it to end by itself, and then counts on."""
        await self._room.acquire()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()

        def settle(result: _T | None, error: BaseException | None) -> None:
            self._count_down(uid, name)
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]  # the call's own, None included

        def work() -> None:
            result: _T | None = None
            error: BaseException | None = None
            try:
                result = call()
            except BaseException as exc:  # noqa: BLE001  # raised again where it is awaited
                error = exc
            # A loop that was closed meanwhile has nobody left who waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(settle, result, error)

        volumes = self._calls.setdefault(uid, {})
        volumes[name] = volumes.get(name, 0) + 1
        try:
            threading.Thread(target=work, name="volume", daemon=True).start()
        except RuntimeError as exc:
            self._count_down(uid, name)
            raise OSError(errno.EAGAIN, "this machine starts no more threads") from exc
        return await future

    def _count_down(self, uid: PodUID, name: str) -> None:
        self._room.release()
        volumes = self._calls[uid]
        volumes[name] -= 1
        if not volumes[name]:
            del volumes[name]
        if not volumes:
            del self._calls[uid]
        # Whoever waits holds this event; the next one waits for the next.
        self._ended.set()
        self._ended = asyncio.Event()


_turn: contextvars.ContextVar[tuple[VolumeThreads, PodUID, str] | None] = contextvars.ContextVar(
    "turn", default=None
)


async def run_blocking(function: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:  # noqa: ANN401
    """Call a function on a thread: of the volume whose turn it is, else on any.

    Cancelling leaves the call to end by itself.

    Raises:
        Exception: Whatever the function raises.
        OSError: The machine starts no more threads.
    """
    turn = _turn.get()
    if turn is None:
        return await asyncio.to_thread(function, *args, **kwargs)
    threads, uid, name = turn
    return await threads.run(uid, name, lambda: function(*args, **kwargs))
