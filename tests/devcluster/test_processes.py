"""Processes that outlive the command which started them."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from devcluster import processes
from devcluster.errors import DevclusterError

if TYPE_CHECKING:
    from pathlib import Path

    from devcluster.state import Process


def start(tmp_path: Path, script: str, **environment: str) -> Process:
    """Start a shell script as a part."""
    return processes.start(
        ["sh", "-c", script], log=tmp_path / "part.log", environment=environment, cwd=tmp_path
    )


def test_part_has_a_session_of_its_own_and_a_log(tmp_path: Path) -> None:
    """A closed terminal must not end it, and what it says is kept."""
    process = start(tmp_path, 'echo "hello $WHO"; exec sleep 60', WHO="you")
    assert processes.is_alive(process)
    assert os.getsid(process.pid) == process.pid
    processes.wait_until(
        lambda: "hello you" in processes.log_tail(tmp_path / "part.log"), what="log", timeout_s=5
    )
    processes.end_together([process.pid])
    assert not processes.is_alive(process)


def test_proxies_are_kept_from_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cluster's own addresses must not be asked of a proxy."""
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    monkeypatch.setenv("no_proxy", "x")
    assert not [k for k in processes.part_environment({}) if k.lower().endswith("_proxy")]
    assert processes.part_environment({"https_proxy": "mine"})["https_proxy"] == "mine"
    assert tmp_path.exists()


def test_another_process_with_the_same_pid_is_never_signalled(tmp_path: Path) -> None:
    """A process is its pid and its start time, within one boot."""
    process = start(tmp_path, "exec sleep 60")
    for other in (
        msgspec.structs.replace(process, start_ticks=process.start_ticks - 1),
        msgspec.structs.replace(process, boot_id="another"),
    ):
        assert not processes.is_alive(other)
        assert not processes.send_signal(other, signal.SIGKILL)
        assert processes.wait_end(other, timeout_s=0)
    assert processes.is_alive(process)
    processes.end_together([process.pid])


def test_ended_process_is_not_alive(tmp_path: Path) -> None:
    """A zombie that nobody has reaped yet counts as ended."""
    process = start(tmp_path, "exec sleep 0.01")
    assert processes.wait_end(process, timeout_s=5)
    assert not processes.is_alive(process)
    assert not processes.send_signal(process, signal.SIGTERM)
    assert processes.identify(process.pid) != process


def test_wait_end_gives_up_after_its_time(tmp_path: Path) -> None:
    """False means that it still runs."""
    process = start(tmp_path, "exec sleep 60")
    begin = time.monotonic()
    assert not processes.wait_end(process, timeout_s=0.05)
    assert time.monotonic() - begin < 5
    processes.end_together([process.pid])


def test_program_that_is_missing_is_named(tmp_path: Path) -> None:
    """The error holds the program's name."""
    with pytest.raises(DevclusterError, match="no-such-program"):
        processes.start(["no-such-program"], log=tmp_path / "l", environment={}, cwd=tmp_path)


def test_condition_that_never_comes_ends_with_the_log(tmp_path: Path) -> None:
    """The last lines of the log say why."""
    log = tmp_path / "part.log"
    log.write_text("one\ntwo\nport in use\n")
    with pytest.raises(DevclusterError, match=r"(?s)api: not within 0 s.*port in use"):
        processes.wait_until(lambda: False, what="api", timeout_s=0, log=log)


def test_wait_ends_at_once_when_the_process_does(tmp_path: Path) -> None:
    """Nobody waits a minute for a server that has ended."""
    process = start(tmp_path, "echo bad flag; exit 3")
    with pytest.raises(DevclusterError, match=r"(?s)its process ended.*bad flag"):
        processes.wait_until(
            lambda: False,
            what="api",
            timeout_s=60,
            process=process,
            log=tmp_path / "part.log",
        )


def test_command_that_fails_tells_its_status_and_last_words() -> None:
    """Standard error is part of the message."""
    with pytest.raises(DevclusterError, match=r"status 3: no such thing"):
        processes.run(["sh", "-c", "echo no such thing >&2; exit 3"])
    assert processes.run(["sh", "-c", "cat; exit 3"], stdin="in", check=False) == "in"


def test_command_that_hangs_is_ended() -> None:
    """The time-out is an error like any other."""
    with pytest.raises(DevclusterError, match="timed out"):
        processes.run(["sleep", "60"], timeout_s=0.05)
