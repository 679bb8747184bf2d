"""Reads what the machine as a whole uses, out of /proc; everything here blocks on the kernel only.

Source: cadvisor container/raw/handler.go ``GetSpec``, machine/machine.go; kubernetes
pkg/kubelet/util/boot_time_util_linux.go, pkg/kubelet/stats/pidlimit/pidlimit_linux.go.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.stats.cgroup_reader import PRESSURES
from edge_runtime.stats.pressure import parse_pressure

if TYPE_CHECKING:
    from edge_runtime.objects.node_stats import Pressure

_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineMemory:
    """The machine's memory and swap; swap is 0 where it has none."""

    total_bytes: int
    swap_total_bytes: int
    swap_free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineTasks:
    """Processes and threads that there are, and how many there may be."""

    running: int
    limit: int


class MachineReader:
    """Reads one machine.

    Args:
        proc: The kernel's process filesystem.
        block_devices: Where it names block devices by their numbers.
    """

    def __init__(
        self, proc: Path = Path("/proc"), *, block_devices: Path = Path("/sys/dev/block")
    ) -> None:
        self._proc = proc
        self._block_devices = block_devices

    def boot_time_ns(self) -> int:
        """Return when the machine booted.

        Raises:
            OSError: The kernel's file cannot be read.
        """
        for line in (self._proc / "stat").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "btime":
                return int(value) * _NS_PER_S
        raise OSError(f"{self._proc / 'stat'} does not tell the time of the boot")

    def memory(self) -> MachineMemory:
        """Return how much memory there is.

        Raises:
            OSError: The kernel's file cannot be read.
        """
        found: dict[str, int] = {}
        for line in (self._proc / "meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            found[name] = int(value.split()[0]) * 1024
        return MachineMemory(
            total_bytes=found["MemTotal"],
            swap_total_bytes=found.get("SwapTotal", 0),
            swap_free_bytes=found.get("SwapFree", 0),
        )

    def pressure(self) -> dict[str, Pressure]:
        """Return what the machine's tasks waited for, by ``cpu``, ``memory`` and ``io``.

        Empty where the kernel does not count it.
        """
        found = {name: self._pressure(name) for name in PRESSURES}
        return {name: each for name, each in found.items() if each is not None}

    def _pressure(self, name: str) -> Pressure | None:
        try:
            return parse_pressure((self._proc / "pressure" / name).read_text())
        except OSError:
            # Not built in, or switched off (psi=0): then there is nothing to tell.
            return None

    def disk_name(self, *, major: int, minor: int) -> str | None:
        """Return a block device's name below ``/dev``, None for one that is gone."""
        try:
            target = os.readlink(self._block_devices / f"{major}:{minor}")
        except OSError:
            return None
        # The kernel writes "!" for a slash within a name (cciss!c0d0).
        return os.path.basename(target).replace("!", "/")

    def tasks(self) -> MachineTasks:
        """Return how many processes and threads there are.

        Raises:
            OSError: A file of the kernel cannot be read.
        """
        # "0.20 0.18 0.12 1/80 11206": running and existing tasks are the fourth word (proc(5)).
        words = (self._proc / "loadavg").read_text().split()
        limits = ("sys/kernel/pid_max", "sys/kernel/threads-max")
        return MachineTasks(
            running=int(words[3].partition("/")[2]),
            limit=min(int((self._proc / name).read_text()) for name in limits),
        )
