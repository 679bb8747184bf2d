"""Logs are put aside, compressed and dropped; none is lost, whatever fails."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from edge_runtime.logs.log_rotation import LogRotation, LogRotationPolicy
from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import SandboxID
from edge_runtime.objects.runtime_status import ContainerState, ContainerStatus
from edge_runtime.runtime.errors import UnknownFailure

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

POLICY = LogRotationPolicy(max_bytes=10, max_files=3)


class Logs:
    """One container that writes a log."""

    def __init__(self, folder: Path, *, policy: LogRotationPolicy = POLICY) -> None:
        self.path = folder / "0.log"
        self.state = ContainerState.RUNNING
        self.now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        self.reopened = 0
        self.fails = False
        self.rotation = LogRotation(
            self, containers=lambda: (self.status(),), policy=policy, now=lambda: self.now
        )

    def status(self) -> ContainerStatus:
        """Return the container as the cache holds it."""
        return ContainerStatus(
            id=ContainerID("c"),
            sandbox_id=SandboxID("s"),
            name="c",
            attempt=0,
            state=self.state,
            created_at_ns=0,
            log_path=str(self.path),
        )

    async def reopen_container_log(self, container_id: ContainerID) -> None:
        """Make the file anew, or fail."""
        assert container_id == "c"
        self.reopened += 1
        if self.fails:
            raise UnknownFailure(method="ReopenContainerLog", message="no")
        self.path.touch()

    async def rotate(self, text: str) -> None:
        """Write, look, and let ten seconds pass."""
        with self.path.open("a") as log:
            log.write(text)
        await self.rotation.rotate_all()
        self.now += timedelta(seconds=10)

    def names(self) -> list[str]:
        """Return the files of the folder."""
        return sorted(each.name for each in self.path.parent.iterdir())


async def test_small_log_stays(tmp_path: Path) -> None:
    """Below the limit nothing is touched."""
    logs = Logs(tmp_path)
    await logs.rotate("123456789")
    assert (logs.names(), logs.reopened) == (["0.log"], 0)


async def test_newest_stays_as_it_is_and_older_ones_are_compressed(tmp_path: Path) -> None:
    """Never more files than allowed."""
    logs = Logs(tmp_path)
    for number in range(4):
        await logs.rotate(f"{number}" * 10)
    assert logs.names() == [
        "0.log",
        "0.log.20260102-030425.gz",
        "0.log.20260102-030435",
    ]
    assert gzip.decompress((tmp_path / "0.log.20260102-030425.gz").read_bytes()) == b"2" * 10
    assert (tmp_path / "0.log.20260102-030435").read_text() == "3" * 10


async def test_two_files_are_the_least(tmp_path: Path) -> None:
    """The one that is written, and the one before."""
    logs = Logs(tmp_path, policy=LogRotationPolicy(max_bytes=10, max_files=2))
    for _ in range(3):
        await logs.rotate("x" * 10)
    assert logs.names() == ["0.log", "0.log.20260102-030425"]


async def test_log_keeps_its_name_when_it_cannot_be_reopened(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The runtime writes on to it, and the next look tries again."""
    logs = Logs(tmp_path)
    logs.fails = True
    with caplog.at_level(logging.WARNING):
        await logs.rotate("x" * 10)
    assert logs.names() == ["0.log"]
    assert "a log cannot be rotated" in caplog.text
    logs.fails = False
    await logs.rotate("y")
    assert logs.names() == ["0.log", "0.log.20260102-030415"]


async def test_log_that_is_not_there_is_opened(tmp_path: Path) -> None:
    """A rotation was cut off between its steps."""
    logs = Logs(tmp_path)
    await logs.rotation.rotate_all()
    assert (logs.names(), logs.reopened) == (["0.log"], 1)


async def test_log_of_a_dead_container_stays(tmp_path: Path) -> None:
    """It grows no more, and an empty newest file would help nobody."""
    logs = Logs(tmp_path)
    logs.state = ContainerState.EXITED
    await logs.rotate("x" * 10)
    assert logs.names() == ["0.log"]


async def test_leftovers_of_a_cut_off_rotation_go(tmp_path: Path) -> None:
    """Half a compressed file, and one whose compressed form is whole."""
    logs = Logs(tmp_path)
    for name in ("0.log.1.tmp", "0.log.20260101-000000", "0.log.20260101-000000.gz"):
        (tmp_path / name).write_bytes(gzip.compress(b"old"))
    await logs.rotate("x" * 10)
    assert logs.names() == ["0.log", "0.log.20260101-000000.gz", "0.log.20260102-030405"]


async def test_names_stay_in_order_when_the_clock_is_set_back(tmp_path: Path) -> None:
    """Readers go by them; and one that is there is never replaced."""
    logs = Logs(tmp_path, policy=LogRotationPolicy(max_bytes=10, max_files=9))
    for text in ("1" * 10, "2" * 10, "3" * 10):
        await logs.rotate(text)
        logs.now -= timedelta(seconds=15)
    assert logs.names() == [
        "0.log",
        "0.log.20260102-030405.gz",
        "0.log.20260102-030406.gz",
        "0.log.20260102-030407",
    ]
    assert (tmp_path / "0.log.20260102-030407").read_text() == "3" * 10


async def test_a_pipe_among_the_files_stops_no_rotation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever reads one waits for ever, and with it the logs of all other containers."""
    logs = Logs(tmp_path)
    os.mkfifo(tmp_path / "0.log.20260101-000000")
    async with asyncio.timeout(10):
        await logs.rotate("1" * 10)
        assert logs.names() == ["0.log", "0.log.20260101-000000", "0.log.20260102-030405"]
        await logs.rotate("2" * 10)
    assert logs.names() == ["0.log", "0.log.20260102-030405.gz", "0.log.20260102-030415"]
    assert "a log is not compressed" in caplog.text


async def test_a_folder_that_became_a_link_is_not_rotated(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither renamed nor removed: it is somebody else's."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "c").symlink_to(elsewhere)
    logs = Logs(tmp_path / "c")
    for name in ("0.log", "0.log.1", "0.log.2", "0.log.3"):
        (elsewhere / name).write_text("x" * 10)
    await logs.rotation.rotate_all()
    assert sorted(each.name for each in elsewhere.iterdir()) == logs.names()
    assert len(logs.names()) == 4
    assert logs.reopened == 0
    assert "a log cannot be rotated" in caplog.text
