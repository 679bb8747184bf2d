"""The database file and the one thread that touches it.

SQLite calls block, so they run on a thread of their own. A commit with ``synchronous=FULL`` costs
0.4 to 3 ms of waiting for the disk; all operations that queued up meanwhile share the next one.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from edge_runtime.store.errors import StoreDamaged, StoreError, StoreInUse
from edge_runtime.store.schema import migrate
from edge_runtime.store.sealed_rows import adopt_key
from edge_runtime.store.sealing_key import KEY_FILE_NAME, FileKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge_runtime.store.sealing import Sealer
    from edge_runtime.store.sealing_key import KeySource

_T = TypeVar("_T")

# Operations that may wait for the thread; a further one waits for its turn in asyncio.
MAX_WAITING = 1024
# Operations in one transaction: bounds how long the first of them waits for its commit.
MAX_BATCH = 256
_LOCK_TIMEOUT_S = 1.0
_FILE_MODE = 0o600


@dataclass(slots=True)
class _Job(Generic[_T]):
    operation: Callable[[sqlite3.Connection], _T]
    future: asyncio.Future[_T]
    result: _T | None = None
    error: Exception | None = None


class Committed(Protocol):
    """Who is told of transactions (telemetry/metrics.py)."""

    def __call__(self, *, operations: int, duration_s: float, has_failed: bool) -> None:
        """Take note of one, on any thread."""


class Database:
    """One SQLite file in WAL mode, held by this process alone.

    Open it before the event loop needs it and close it last; both block for milliseconds, or for
    as long as a TPM takes to open a key.

    Attributes:
        sealer: Seals what is secret, before it is written.
    """

    def __init__(
        self,
        path: Path,
        *,
        keys: Sequence[KeySource] = (),
        committed: Committed = lambda *, operations, duration_s, has_failed: None,
    ) -> None:
        """Open or create the file, bring its tables up to date, and seal what is not sealed yet.

        Args:
            path: The file.
            keys: Where its key belongs, then where it may have been; by default it is in a file
                beside the database.
            committed: Told of each transaction, on the writer's thread.

        Raises:
            StoreInUse: Another process holds it.
            StoreDamaged: It is no database of ours, or a damaged one. Nothing was changed.
            StoreError: It cannot be opened or created, or its key cannot be had.
        """
        self._path = path
        keys = keys or (FileKey(path.with_name(KEY_FILE_NAME)),)
        self._connection, self.sealer = _open(path, keys)
        self._committed = committed
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(MAX_WAITING)
        self._thread = threading.Thread(target=self._work, name="store-writer", daemon=True)
        self._thread.start()

    async def run(self, operation: Callable[[sqlite3.Connection], _T]) -> _T:
        """Run an operation on the writer thread; return once its transaction is on disk.

        The operation runs in a savepoint of its own: if it raises, it alone is undone and the
        exception comes out here. It must not commit, and must not keep the connection.

        A cancelled call may still be carried out.

        Raises:
            StoreError: The transaction could not be committed; nothing of it is kept.
        """
        async with self._room:
            future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
            self._jobs.put(_Job(operation=operation, future=future))
            return await future

    async def write(self, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Run one statement for each row, all or none; return once it is on disk.

        Raises:
            StoreError: As `run`.
        """

        def write(connection: sqlite3.Connection) -> None:
            # The cursor must not leave the thread: an open one keeps the file locked after close.
            connection.executemany(sql, rows).close()

        await self.run(write)

    def size_bytes(self) -> int:
        """Return how large the file and the log beside it are; 0 for what is not there."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(each.stat().st_size for each in files if each.exists())

    def close(self) -> None:
        """Finish what was queued and close the file."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        try:
            while (batch := self._take_batch()) is not None:
                self._run_batch(batch)
        finally:
            self._connection.close()

    def _take_batch(self) -> list[_Job[Any]] | None:
        first = self._jobs.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            batch.append(job)
        return batch

    def _run_batch(self, batch: list[_Job[Any]]) -> None:
        began_s, has_failed = time.monotonic(), False
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                self._run_job(job)
            self._connection.execute("COMMIT")
        except sqlite3.Error as exc:
            has_failed = True
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for job in batch:
                job.error = StoreError(f"the database {self._path} cannot be written: {exc}")
        duration_s = time.monotonic() - began_s
        self._committed(operations=len(batch), duration_s=duration_s, has_failed=has_failed)
        for job in batch:
            _deliver(job)

    def _run_job(self, job: _Job[Any]) -> None:
        self._connection.execute("SAVEPOINT job")
        try:
            job.result = job.operation(self._connection)
        except sqlite3.OperationalError:
            raise  # disk full, I/O error: the whole transaction is lost
        except Exception as exc:  # noqa: BLE001  # handed to the caller, who alone is concerned
            self._connection.execute("ROLLBACK TO job")
            job.error = exc
        self._connection.execute("RELEASE job")


def _deliver(job: _Job[Any]) -> None:
    def settle() -> None:
        if job.future.cancelled():
            return
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)

    loop = job.future.get_loop()
    # A loop that was closed meanwhile has nobody left who waits.
    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)


def _open(path: Path, keys: Sequence[KeySource]) -> tuple[sqlite3.Connection, Sealer]:
    connection: sqlite3.Connection | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        # It holds pods with their secrets; SQLite gives the file beside it the same mode. MUST NOT
        # open the file itself: closing it would give up a lock that this process has on it.
        path.touch(mode=_FILE_MODE)
        if path.stat().st_mode & 0o777 != _FILE_MODE:
            path.chmod(_FILE_MODE)
        connection = sqlite3.connect(
            path, timeout=_LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        # EXCLUSIVE before the first access: no second edgelet, and no shared-memory file.
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        # What is deleted is overwritten: the key alone must not bring back what was taken away.
        connection.execute("PRAGMA secure_delete=ON")
        _check(connection, path)
        migrate(connection)
        sealer = adopt_key(connection, keys)
    except (sqlite3.Error, OSError, StoreError) as exc:
        if connection is not None:
            connection.close()
        if isinstance(exc, StoreError):
            raise
        raise _translate(exc, path) from exc
    return connection, sealer


def _check(connection: sqlite3.Connection, path: Path) -> None:
    found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(1)")]
    if found != ["ok"]:
        raise _damaged(path, found[0] if found else "no answer to quick_check")


def _translate(exc: sqlite3.Error | OSError, path: Path) -> StoreError:
    if isinstance(exc, sqlite3.OperationalError) and "locked" in str(exc):
        return StoreInUse(f"another process uses the database {path}: stop it first")
    if isinstance(exc, sqlite3.DatabaseError) and not isinstance(exc, sqlite3.OperationalError):
        return _damaged(path, str(exc))
    return StoreError(f"the database {path} cannot be opened: {exc}")


def _damaged(path: Path, what: str) -> StoreDamaged:
    return StoreDamaged(
        f"the database {path} is damaged ({what}); restore it and its -wal file from a backup, or"
        " move both away to start anew from what the cloud desires (restart counts are lost then)"
    )
