"""Do something inside a network namespace without leaving one's own."""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def netns_path(name_or_path: str) -> Path:
    """Return the file of a network namespace, given its name under `ip netns` or its path."""
    return Path("/run/netns") / name_or_path


def inside(netns: str, action: Callable[[], T], *, timeout_s: float = 60) -> T:
    """Call the action in a thread of its own that has entered the namespace.

    A namespace belongs to a thread, so nothing else of this process notices; sockets made by the
    action stay in the namespace and may be used from any thread afterwards.

    Raises:
        TimeoutError: The action still runs after that many seconds.
        Exception: Whatever the action raised.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def enter_and_act() -> None:
        try:
            _enter(netns)
            results.append(action())
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=enter_and_act, daemon=True)
    thread.start()
    thread.join(timeout=timeout_s)
    if errors:
        raise errors[0]
    if not results:
        msg = f"still busy after {timeout_s} s in {netns}"
        raise TimeoutError(msg)
    return results[0]


def _enter(netns: str) -> None:
    """Move the calling thread into the namespace."""
    path = netns_path(netns)
    with path.open() as file:
        if _libc.setns(file.fileno(), CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
