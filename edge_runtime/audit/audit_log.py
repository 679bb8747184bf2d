"""The audit log's file: lines are queued at once and written by one loop, in a thread.

    record() ──queue, bounded──> writing() ──> audit.log ──full──> audit.log.1 ... audit.log.N ──> ∅

A call never waits for it and never fails by it. Lines that the queue or the disk does not take are
counted, said once in the process's log, and the file itself says how many are missing as soon as
it takes lines again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections import deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_runtime.audit.audit_record import AuditEvent, encode_loss, encode_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from edge_runtime.audit.audit_record import AuditedCall, CallEnd

logger = logging.getLogger(__name__)

# Lines that wait for the disk: thousands of common ones, a dozen of the longest.
MAX_QUEUED_BYTES = 1 << 20
# One write: a flood must not hold a thread for long.
_BATCH_LINES = 128
# A disk that refused is left alone for so long.
RETRY_S = 5.0
# At the end, for what is queued.
_PATIENCE_S = 2.0
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_ONLY_OWNER = 0o600


class AuditLog:
    """Lines in one file, readable by its owner alone.

    Args:
        path: The file; its folder must exist.
        max_bytes: A file that would grow beyond it is put aside.
        max_files: How many of those are kept.
        lost: Told how many lines more are lost.
        now: The wall clock.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        max_files: int,
        lost: Callable[[int], object] = lambda _count: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._file = _RotatedFile(path, max_bytes=max_bytes, max_files=max_files)
        self._path = path
        self._count_lost = lost
        self._now = now
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._has_lines = asyncio.Event()
        self._is_over = asyncio.Event()
        # Lines that are missing and not yet told of in the file; why the last one is.
        self._missing = 0
        self._reason = ""

    def record(self, call: AuditedCall, event: AuditEvent, end: CallEnd | None = None) -> None:
        """Queue one line; never waits, never fails."""
        line = encode_record(call, event, time=self._time(), end=end)
        if self._queued_bytes + len(line) > MAX_QUEUED_BYTES:
            self._lose(1, "the disk does not keep up")
            return
        self._queue.append(line)
        self._queued_bytes += len(line)
        self._has_lines.set()

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write while the block lasts, and at its end what is queued then, if the disk takes it."""
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self._run(), name="audit log")
            try:
                yield
            finally:
                self._is_over.set()
                self._has_lines.set()
                await asyncio.wait([running], timeout=_PATIENCE_S)
                running.cancel()

    async def _run(self) -> None:
        while True:
            await self._has_lines.wait()
            self._has_lines.clear()
            is_well = True
            while self._queue and is_well:
                lines, told = self._take_batch()
                problem = await asyncio.to_thread(self._file.write, lines)
                is_well = self._settle(lines, problem, told=told)
            if self._is_over.is_set():
                return
            if not is_well:
                await self._leave_alone()

    async def _leave_alone(self) -> None:
        """Leave a disk that refused alone for a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETRY_S):
                await self._is_over.wait()
        self._has_lines.set()

    def _take_batch(self) -> tuple[list[bytes], int]:
        """Take lines to write, and return how many missing ones the first of them tells of."""
        lines = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH_LINES))]
        self._queued_bytes -= sum(map(len, lines))
        if self._missing:
            lines.insert(0, encode_loss(self._missing, time=self._time(), reason=self._reason))
        return lines, self._missing

    def _settle(self, lines: list[bytes], problem: str | None, *, told: int) -> bool:
        """Count what became of lines; return whether they are on disk."""
        if problem is not None:
            self._lose(len(lines) - bool(told), problem)
            return False
        if told:
            logger.info("the audit log takes lines again", extra={"missing": told})
            self._missing -= told
        return True

    def _lose(self, count: int, reason: str) -> None:
        if not self._missing:
            logger.error(
                "calls are missing in the audit log",
                extra={"file": str(self._path), "reason": reason},
            )
        self._missing += count
        self._reason = reason
        self._count_lost(count)

    def _time(self) -> str:
        return self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


class NoAuditLog:
    """An audit log that its owner has switched off."""

    def record(self, call: AuditedCall, event: AuditEvent, end: CallEnd | None = None) -> None:
        """Take a line and forget it."""

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Do nothing while the block lasts."""
        yield


class _RotatedFile:
    """Appends to a file, and puts it aside when it is full. Blocking; one call at a time."""

    def __init__(self, path: Path, *, max_bytes: int, max_files: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._max_files = max_files

    def write(self, lines: list[bytes]) -> str | None:
        """Append lines, and return why they are not all on disk, None when they are."""
        try:
            for piece in self._fitting(lines):
                self._append(piece)
        except OSError as exc:
            return exc.strerror or str(exc)
        return None

    def _fitting(self, lines: list[bytes]) -> list[bytes]:
        """Join lines to pieces that fit into a file; a longer line is one of its own."""
        pieces = [b""]
        for line in lines:
            if pieces[-1] and len(pieces[-1]) + len(line) > self._max_bytes:
                pieces.append(b"")
            pieces[-1] += line
        return pieces

    def _append(self, data: bytes) -> None:
        opened = os.open(self._path, _FLAGS, _ONLY_OWNER)
        try:
            size = os.fstat(opened).st_size
            if size and size + len(data) > self._max_bytes:
                self._put_aside()
                os.close(opened)
                opened, size = os.open(self._path, _FLAGS, _ONLY_OWNER), 0
            # It may be an older file, or somebody's who was there first.
            os.fchmod(opened, _ONLY_OWNER)
            if size and os.pread(opened, 1, size - 1) != b"\n":
                # A write that a full disk or a power cut tore left half a line behind.
                data = b"\n" + data
            _write_all(opened, data)
            os.fdatasync(opened)
        finally:
            os.close(opened)

    def _put_aside(self) -> None:
        if not self._max_files:
            self._path.unlink()
            return
        for number in range(self._max_files, 0, -1):
            newer = self._path if number == 1 else self._aside(number - 1)
            with contextlib.suppress(FileNotFoundError):
                newer.replace(self._aside(number))

    def _aside(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def _write_all(opened: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(opened, view) :]
