"""The processes of a cluster by name, each with its log and its place in the state file."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from devcluster import processes
from devcluster.layout import PROJECT_ROOT, ClusterLayout, MachineLayout
from devcluster.state import Process, State, save_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path


class Parts:
    """Starts, keeps and stops the parts of one cluster, and writes down what runs."""

    def __init__(self, cluster: ClusterLayout, state: State) -> None:
        self._cluster = cluster
        self.state = state

    @staticmethod
    def of_machine(kind: str, machine: MachineLayout) -> str:
        """Return the name of a site's or the kubelet's part, such as ``edge/site-a``."""
        return f"{kind}/{machine.name}"

    def log(self, name: str) -> Path:
        """Return the part's log file."""
        return self._cluster.logs / f"{name.replace('/', '-')}.log"

    def running(self, name: str) -> Process | None:
        """Return the part's process; None where it does not run."""
        process = self.state.parts.get(name)
        return process if processes.is_alive(process) else None

    def start(
        self, name: str, argv: Sequence[str], *, environment: Mapping[str, str] | None = None
    ) -> Process:
        """Start a part unless it runs.

        Raises:
            DevclusterError: It cannot be started.
        """
        running = self.running(name)
        if running is not None:
            return running
        process = processes.start(
            argv, log=self.log(name), environment=environment or {}, cwd=PROJECT_ROOT
        )
        self.state.parts[name] = process
        self.save()
        return process

    def wait_ready(self, name: str, ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Wait until a part serves.

        Raises:
            DevclusterError: It ended, or does not serve within `timeout_s`; with the end of its
                log.
        """
        processes.wait_until(
            ready,
            what=name,
            timeout_s=timeout_s,
            process=self.state.parts.get(name),
            log=self.log(name),
        )

    def stop(
        self, names: Iterable[str], *, number: signal.Signals = signal.SIGTERM, grace_s: float = 10
    ) -> None:
        """Stop parts together: all are signalled before the first is waited for.

        Raises:
            DevclusterError: One does not end.
        """
        found = {name: p for name in names if (p := self.running(name)) is not None}
        for process in found.values():
            processes.send_signal(process, number)
        deadline = time.monotonic() + grace_s
        for process in found.values():
            processes.wait_end(process, timeout_s=max(0.0, deadline - time.monotonic()))
        processes.end_together(process.pid for process in found.values())
        for name in found:
            del self.state.parts[name]
        self.save()

    def save(self) -> None:
        """Write the state file."""
        save_state(self._cluster.state_file, self.state)
