"""Start, recognise and end processes that outlive the command which started them."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster.errors import DevclusterError
from devcluster.state import Process

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

PROC = Path("/proc")
KILL_WAIT_S = 20.0
REAP_WAIT_S = 5.0
POLL_S = 0.05
LOG_TAIL_LINES = 5


def run(
    argv: Sequence[str | Path],
    *,
    timeout_s: float = 60,
    stdin: str = "",
    check: bool = True,
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a command to its end and return its output; in our environment unless one is given.

    Raises:
        DevclusterError: It could not be started, took longer than `timeout_s`, or (with `check`)
            failed.
    """
    command = [os.fspath(a) for a in argv]
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
            env=environment,
            cwd=cwd,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise DevclusterError(f"{' '.join(command)}: {exc}") from exc
    if check and done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-LOG_TAIL_LINES:]
        raise DevclusterError(f"{' '.join(command)}: status {done.returncode}: {' / '.join(said)}")
    return done.stdout


def in_netns(netns: str) -> list[str]:
    """Return the start of a command line that runs the rest in a network namespace.

    Only the network changes: ``ip netns exec`` would also give a private mount namespace without
    cgroups.
    """
    return ["nsenter", f"--net=/run/netns/{netns}", "--"]


def part_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a part.

    Ours without proxies, which would be asked for the cluster's own addresses.
    """
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return {**kept, **extra}


def start(
    argv: Sequence[str | Path], *, log: Path, environment: Mapping[str, str], cwd: Path
) -> Process:
    """Start a process in a session of its own; its output is appended to `log`.

    Raises:
        DevclusterError: The program could not be started.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        try:
            child = subprocess.Popen(
                [os.fspath(a) for a in argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=part_environment(environment),
                cwd=cwd,
            )
        except OSError as exc:
            raise DevclusterError(f"{argv[0]} cannot be started: {exc}") from exc
    # The child is init's once we are gone; until then it is reaped by `identify`, not by Popen.
    child.returncode = 0
    # Even of a child that has ended already there is its zombie to read.
    _, process = _read_stat(child.pid)
    return process


def identify(pid: int) -> Process | None:
    """Return the identity of a running process; None where there is none, or only its zombie."""
    try:
        state, process = _read_stat(pid)
    except (FileNotFoundError, ProcessLookupError):
        return None
    if state in "ZX":
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        return None
    return process


def _read_stat(pid: int) -> tuple[str, Process]:
    stat = (PROC / str(pid) / "stat").read_text()
    # The second field is the command in parentheses and may hold anything, so count from its end.
    fields = stat.rpartition(")")[2].split()
    return fields[0], Process(pid=pid, start_ticks=int(fields[19]), boot_id=boot_id())


def boot_id() -> str:
    """Return the kernel's random name of this boot."""
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def is_alive(process: Process | None) -> bool:
    """Tell whether exactly this process runs (not another one that was given its pid)."""
    return process is not None and identify(process.pid) == process


def send_signal(process: Process, number: signal.Signals) -> bool:
    """Signal exactly this process; False where it has ended."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        # The pid is pinned by the handle now, so what is checked is what gets the signal.
        if identify(process.pid) != process:
            return False
        signal.pidfd_send_signal(handle, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(handle)
    return True


def wait_end(process: Process, *, timeout_s: float) -> bool:
    """Wait until the process has ended; False after `timeout_s`."""
    try:
        handle = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        if identify(process.pid) != process:
            return True
        readable, _, _ = select.select([handle], [], [], timeout_s)
    finally:
        os.close(handle)
    identify(process.pid)
    return bool(readable)


def end_together(pids: Iterable[int]) -> None:
    """Kill processes: all are signalled before the first is waited for.

    Raises:
        DevclusterError: One survives SIGKILL (it hangs in the kernel).
    """
    found = [process for process in map(identify, pids) if process is not None]
    for process in found:
        send_signal(process, signal.SIGKILL)
    for process in found:
        if not wait_end(process, timeout_s=KILL_WAIT_S):
            raise DevclusterError(f"process {process.pid} does not end on SIGKILL")
    # Orphans are init's to reap, and `ps` shows them until it has; some take their time.
    deadline = time.monotonic() + REAP_WAIT_S
    while time.monotonic() < deadline and any((PROC / str(p.pid)).exists() for p in found):
        time.sleep(POLL_S)


def wait_until(
    ready: Callable[[], bool],
    *,
    what: str,
    timeout_s: float,
    process: Process | None = None,
    log: Path | None = None,
) -> None:
    """Wait for a condition.

    Raises:
        DevclusterError: `timeout_s` passed, or the `process` that should bring it about ended;
            with the log's end.
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        if process is not None and not is_alive(process):
            raise DevclusterError(f"{what}: its process ended{log_tail(log)}")
        if time.monotonic() > deadline:
            raise DevclusterError(f"{what}: not within {timeout_s:.0f} s{log_tail(log)}")
        time.sleep(POLL_S)


def log_tail(log: Path | None) -> str:
    """Return where a log is and its last lines, to be put behind a message."""
    if log is None or not log.exists():
        return ""
    lines = log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return f"; {log} ends with:\n" + "\n".join(f"  {line}" for line in lines)
