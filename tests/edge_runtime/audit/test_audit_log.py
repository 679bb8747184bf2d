"""The file is bounded and its owner's alone; a disk that refuses is nobody else's trouble."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.audit import audit_log
from edge_runtime.audit.audit_log import AuditLog
from edge_runtime.audit.audit_record import AuditedCall, AuditEvent
from tests.fakes.edge_pods import until

if TYPE_CHECKING:
    from pathlib import Path


def _call(number: int, *, size: int = 10) -> AuditedCall:
    return AuditedCall(id=str(number), call="exec", via="tunnel", command=("x" * size,))


def _log(path: Path, *, max_bytes: int = 1 << 20, max_files: int = 2, **options: Any) -> AuditLog:  # noqa: ANN401
    return AuditLog(path, max_bytes=max_bytes, max_files=max_files, **options)


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


async def _until_ids(path: Path, *ids: str) -> None:
    await until(lambda: path.exists() and set(ids) <= {each.get("id") for each in _lines(path)})


async def test_lines_are_written_in_order_and_for_the_owner_alone(tmp_path: Path) -> None:
    """Also those that are queued when the process ends."""
    path = tmp_path / "audit.log"
    log = _log(path)
    async with log.writing():
        log.record(_call(1), AuditEvent.BEGAN)
        await _until_ids(path, "1")
        log.record(_call(2), AuditEvent.BEGAN)
        log.record(_call(2), AuditEvent.ENDED)

    assert [(each["id"], each["event"]) for each in _lines(path)] == [
        ("1", "began"),
        ("2", "began"),
        ("2", "ended"),
    ]
    assert path.stat().st_mode & 0o777 == 0o600


async def test_older_file_is_closed_to_others_and_gone_on_with(tmp_path: Path) -> None:
    """A restart loses nothing; half a line that a power cut left does not spoil the next."""
    path = tmp_path / "audit.log"
    path.write_bytes(b'{"id":"0"}\n{"half')
    path.chmod(0o644)
    log = _log(path)
    async with log.writing():
        log.record(_call(1), AuditEvent.BEGAN)

    first, half, last = path.read_text().splitlines()
    assert (first, half, json.loads(last)["id"]) == ('{"id":"0"}', '{"half', "1")
    assert path.stat().st_mode & 0o777 == 0o600


async def test_link_in_place_of_the_file_is_not_followed(tmp_path: Path) -> None:
    """Whoever can write to the folder must not choose what is written to."""
    victim = tmp_path / "victim"
    victim.write_text("")
    path = tmp_path / "audit.log"
    path.symlink_to(victim)
    lost: list[int] = []
    log = _log(path, lost=lost.append)
    async with log.writing():
        log.record(_call(1), AuditEvent.BEGAN)

    assert (victim.read_text(), sum(lost)) == ("", 1)


@pytest.mark.parametrize("max_files", [0, 1, 3])
async def test_files_are_put_aside_and_bounded(tmp_path: Path, max_files: int) -> None:
    """The newest stay, none is too long, all are the owner's alone."""
    path = tmp_path / "audit.log"
    log = _log(path, max_bytes=2000, max_files=max_files)
    async with log.writing():
        for number in range(60):
            log.record(_call(number, size=200), AuditEvent.BEGAN)

    files = _files(tmp_path)
    assert [file.name for file in files] == ["audit.log"] + [
        f"audit.log.{number}" for number in range(1, max_files + 1)
    ]
    assert all(file.stat().st_size <= 2000 for file in files)
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)
    ids = [each["id"] for file in (files[0], *files[1:]) for each in reversed(_lines(file))]
    assert ids == [str(number) for number in range(59, 59 - len(ids), -1)]


async def test_refusing_disk_is_said_once_and_told_in_the_file_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """No call fails for it; the gap is in the log as soon as it goes on."""
    monkeypatch.setattr(audit_log, "RETRY_S", 0.01)
    folder = tmp_path / "not-yet"
    path = folder / "audit.log"
    lost: list[int] = []
    seen: list[int] = []
    log = _log(path, lost=lost.append)
    with caplog.at_level(logging.INFO, logger=audit_log.__name__):
        async with log.writing():
            for number in range(5):
                log.record(_call(number), AuditEvent.BEGAN)
                seen.append(number)
                await until(lambda: sum(lost) == len(seen))
            folder.mkdir()
            log.record(_call(9), AuditEvent.BEGAN)
            await _until_ids(path, "9")

    gap, line = _lines(path)
    assert (gap["event"], gap["count"], gap["message"]) == ("lost", 5, "No such file or directory")
    assert line["id"] == "9"
    assert sum(lost) == 5
    assert [record.levelname for record in caplog.records] == ["ERROR", "INFO"]


async def test_slow_disk_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The queue is bounded; what it does not take is counted, not waited for."""
    monkeypatch.setattr(audit_log, "MAX_QUEUED_BYTES", 2000)
    path, may_write, is_writing = tmp_path / "audit.log", threading.Event(), threading.Event()
    write = os.write

    def slow(opened: int, data: bytes) -> int:
        is_writing.set()
        may_write.wait(10)
        return write(opened, data)

    monkeypatch.setattr(os, "write", slow)
    lost: list[int] = []
    log = _log(path, lost=lost.append)
    async with log.writing():
        log.record(_call(0), AuditEvent.BEGAN)
        await asyncio.to_thread(is_writing.wait, 5)
        for number in range(1, 100):
            log.record(_call(number), AuditEvent.BEGAN)
        kept = 100 - sum(lost)
        may_write.set()
        await _until_ids(path, str(kept - 1))

    assert 1 < kept < 100
    told = [each["count"] for each in _lines(path) if each["event"] == "lost"]
    assert told == [100 - kept]
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_end_waits_for_the_write_that_is_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two threads at one file would mix its lines."""
    path, is_writing = tmp_path / "audit.log", threading.Event()
    write = os.write

    def slow(opened: int, data: bytes) -> int:
        is_writing.set()
        threading.Event().wait(0.05)
        return write(opened, data)

    monkeypatch.setattr(os, "write", slow)
    log = _log(path)
    async with log.writing():
        log.record(_call(1), AuditEvent.BEGAN)
        await asyncio.to_thread(is_writing.wait, 5)
        log.record(_call(2), AuditEvent.BEGAN)

    assert [each["id"] for each in _lines(path)] == ["1", "2"]
