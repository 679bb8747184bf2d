"""When a container that ended may start again; pure.

The first restart is immediate, then 10, 20, 40 … 300 seconds, counted from when the container
ended. A container that ran for more than 600 seconds since the delay last grew starts anew.

Source: kubernetes pkg/kubelet/kuberuntime ``doBackOff``, client-go util/flowcontrol/backoff.go.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_runtime.objects.container import Container

INITIAL_DELAY_S = 10.0
MAX_DELAY_S = 300.0
RESET_AFTER_S = 2 * MAX_DELAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashBackoff:
    """The delay of one container.

    Attributes:
        key: What it is for; a changed container starts without one.
        updated_at_s: When it last grew, seconds since the epoch.
    """

    key: str
    delay_s: float
    updated_at_s: float


def backoff_key(container: Container) -> str:
    """Return what makes a container the same for its back-off: name, image and resources."""
    parts = [container.name, container.image, container.raw.get("resources") or {}]
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=8).hexdigest()


def backoff_until(backoff: CrashBackoff | None, *, key: str, finished_at_s: float) -> float | None:
    """Return when the container may start again, None for at once; seconds since the epoch."""
    if backoff is None or _is_over(backoff, key, finished_at_s):
        return None
    return finished_at_s + backoff.delay_s


def next_backoff(
    backoff: CrashBackoff | None, *, key: str, finished_at_s: float, now_s: float
) -> CrashBackoff:
    """Return the back-off to keep when the container is started again now."""
    if backoff is None or _is_over(backoff, key, finished_at_s):
        return CrashBackoff(key=key, delay_s=INITIAL_DELAY_S, updated_at_s=now_s)
    delay_s = min(backoff.delay_s * 2, MAX_DELAY_S)
    return CrashBackoff(key=key, delay_s=delay_s, updated_at_s=now_s)


def _is_over(backoff: CrashBackoff, key: str, finished_at_s: float) -> bool:
    return backoff.key != key or finished_at_s - backoff.updated_at_s > RESET_AFTER_S
