"""Whom the kernel kills when memory runs out: how low a score this machine lets us give.

Without CAP_SYS_RESOURCE a score can only be raised, so containers of important pods cannot get the
low ones that a kubelet gives.

Source: proc_pid_oom_score_adj(5); kubernetes pkg/util/oom/oom_linux.go, cmd/kubelet/app/server.go.
"""

from __future__ import annotations

from pathlib import Path

_FILE = Path("/proc/self/oom_score_adj")
# What the kernel takes at the least.
LEAST = -1000


def lower_own_score(wanted: int, *, file: Path = _FILE) -> int:
    """Give this process a score, so that the kernel kills pods before what watches over them.

    Args:
        wanted: The score, -1000 to 1000.
        file: Where the kernel takes it.

    Returns:
        The lowest score that this machine lets us give: LEAST, or the one we have.
    """
    try:
        file.write_text(str(wanted))
    except PermissionError:
        return int(file.read_text())
    return LEAST


def refusal(wanted: int, least: int) -> str:
    """Say that low scores cannot be given, "" where they can."""
    if wanted >= least:
        return ""
    return (
        f"oom_score_adj {wanted} cannot be set on this machine (CAP_SYS_RESOURCE is missing): "
        f"neither edgelet nor any container gets less than {least}"
    )
