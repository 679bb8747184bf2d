"""NetworkReader: counters of the interfaces of a network namespace; blocks on the kernel only.

Source: cadvisor container/libcontainer/handler.go ``networkStatsFromProc``.
"""

from __future__ import annotations

import errno
import time
from pathlib import Path

from edge_runtime.objects.node_stats import NetworkStats
from edge_runtime.objects.runtime_stats import InterfaceUsage

# Not a machine's own, nor what a pod reaches others by.
_PASSED_OVER = ("lo", "veth", "docker", "nerdctl")
_COLUMNS = 17
# PID 1's is the machine's namespace, whichever one edgelet itself runs in.
_MACHINE_PID = 1


class NetworkReader:
    """Reads by processes: each sees the interfaces of its own namespace.

    Args:
        proc: The kernel's process filesystem.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc

    def read(self, pid: int = _MACHINE_PID) -> NetworkStats | None:
        """Return the counters that a process sees, None when it is gone.

        Raises:
            OSError: The kernel refuses for another reason.
        """
        try:
            text = (self._proc / str(pid) / "net/dev").read_text()
        except OSError as exc:
            # EINVAL: the process has ended, and nobody has asked for its exit code yet.
            if exc.errno in (errno.ENOENT, errno.ESRCH, errno.EINVAL):
                return None
            raise
        return NetworkStats(timestamp_ns=time.time_ns(), interfaces=parse_net_dev(text))


def parse_net_dev(text: str) -> tuple[InterfaceUsage, ...]:
    """Read ``/proc/net/dev``; what is no line of an interface is passed over."""
    found: list[InterfaceUsage] = []
    for line in text.splitlines():
        words = line.replace(":", " ", 1).split()
        if len(words) != _COLUMNS or not all(each.isdecimal() for each in words[1:]):
            continue
        if words[0].lower().startswith(_PASSED_OVER):
            continue
        rx_bytes, rx_packets, rx_errors, rx_dropped = map(int, words[1:5])
        tx_bytes, tx_packets, tx_errors, tx_dropped = map(int, words[9:13])
        found.append(
            InterfaceUsage(
                name=words[0],
                rx_bytes=rx_bytes,
                rx_packets=rx_packets,
                rx_errors=rx_errors,
                rx_dropped=rx_dropped,
                tx_bytes=tx_bytes,
                tx_packets=tx_packets,
                tx_errors=tx_errors,
                tx_dropped=tx_dropped,
            )
        )
    return tuple(found)
