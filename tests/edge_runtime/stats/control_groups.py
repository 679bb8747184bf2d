"""Control groups of version 1 or 2 as a folder of files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class ControlGroups:
    """A mount of a test's own."""

    mount: Path
    unified: bool

    def __post_init__(self) -> None:
        self.mount.mkdir(parents=True, exist_ok=True)
        if self.unified:
            (self.mount / "cgroup.controllers").write_text("cpu io memory pids\n")

    def put(
        self,
        group: str,
        *,
        cpu_ns: int = 5_000_000,
        memory_bytes: int = 8192,
        inactive_bytes: int = 4096,
        limit: str = "max",
        pids: tuple[int, ...] = (),
    ) -> None:
        """Make a group, or change what it counts."""
        processes = "".join(f"{pid}\n" for pid in pids)
        if self.unified:
            self._write("", group, "cpu.stat", f"usage_usec {cpu_ns // 1000}\n")
            stat = f"anon 1\nfile {memory_bytes - 1}\ninactive_file {inactive_bytes}\n"
            self._write("", group, "memory.stat", stat)
            if group != "/":
                self._write("", group, "memory.current", f"{memory_bytes}\n")
            self._write("", group, "memory.max", f"{limit}\n")
            self._write("", group, "cgroup.procs", processes)
            share = "avg10=1.50 avg60=0.25 avg300=0.00 total=77"
            for name in ("cpu", "memory", "io"):
                self._write("", group, f"{name}.pressure", f"some {share}\nfull {share}\n")
            return
        bytes_limit = str((1 << 63) - 4096) if limit == "max" else limit
        self._write("cpuacct", group, "cpuacct.usage", f"{cpu_ns}\n")
        self._write("cpuacct", group, "cgroup.procs", processes)
        self._write("memory", group, "memory.usage_in_bytes", f"{memory_bytes}\n")
        stat = f"total_inactive_file {inactive_bytes}\ntotal_rss 1\n"
        self._write("memory", group, "memory.stat", stat)
        self._write("memory", group, "memory.limit_in_bytes", f"{bytes_limit}\n")

    def put_tasks(self, group: str, tasks: int) -> None:
        """Set how many processes and threads are in a group and those below it."""
        self._write("" if self.unified else "pids", group, "pids.current", f"{tasks}\n")

    def _write(self, controller: str, group: str, name: str, text: str) -> None:
        folder = self.mount / controller / group.strip("/")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
