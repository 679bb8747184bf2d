"""The writer thread: batches, failures of one, damage, locks."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edge_runtime.store.database import Database
from edge_runtime.store.errors import StoreDamaged, StoreError, StoreInUse

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

INSERT = "INSERT INTO pods (uid, revision, state, pod, gone_sequence) VALUES (?, '', '', x'', 0)"


def _count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM pods").fetchone()[0])


def _overwrite(path: Path, *, start: int, noise: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(noise)


async def test_concurrent_writes_all_arrive(database: Database) -> None:
    """More operations than may wait at once: none is lost, each returns its own result."""

    async def insert(index: int) -> int:
        def operation(connection: sqlite3.Connection) -> int:
            connection.execute(INSERT, (str(index),))
            return index

        return await database.run(operation)

    assert await asyncio.gather(*(insert(index) for index in range(2000))) == list(range(2000))
    assert await database.run(_count) == 2000


async def test_failing_operation_undoes_only_itself(database: Database) -> None:
    """The others of the same transaction are kept."""

    def failing(connection: sqlite3.Connection) -> None:
        connection.execute(INSERT, ("bad",))
        raise KeyError("mine")

    results = await asyncio.gather(
        database.run(lambda connection: connection.execute(INSERT, ("a",)).rowcount),
        database.run(failing),
        database.run(lambda connection: connection.execute(INSERT, ("b",)).rowcount),
        return_exceptions=True,
    )
    assert isinstance(results[1], KeyError)
    uids = await database.run(
        lambda connection: [row[0] for row in connection.execute("SELECT uid FROM pods")]
    )
    assert uids == ["a", "b"]


async def test_what_was_confirmed_survives_sigkill(path: Path) -> None:
    """A commit that returned is on disk even if the process never closes."""
    script = (
        "import asyncio, os, sys, pathlib\n"
        "from edge_runtime.store.database import Database\n"
        "async def main():\n"
        "    database = Database(pathlib.Path(sys.argv[1]))\n"
        f"    await database.run(lambda c: c.execute({INSERT!r}, ('kept',)).rowcount)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(path))
    assert await process.wait() == -9
    database = Database(path)
    try:
        assert await database.run(_count) == 1
    finally:
        database.close()


async def test_second_process_is_refused(database: Database, path: Path) -> None:
    """Two edgelets on one file would overwrite each other's acknowledged state."""
    await database.run(_count)
    script = (
        "import pathlib, sys\n"
        "from edge_runtime.store.database import Database\n"
        "from edge_runtime.store.errors import StoreInUse\n"
        "try:\n    Database(pathlib.Path(sys.argv[1]))\n"
        "except StoreInUse as exc:\n    print(exc)\n    sys.exit(7)\n"
    )
    finished = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", script, str(path)], capture_output=True, check=False
    )
    assert finished.returncode == 7
    assert str(path) in finished.stdout.decode()


def test_no_database_is_refused_and_left_alone(path: Path) -> None:
    """Acknowledged state is never thrown away: a person decides."""
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this is no database, " * 100)
    with pytest.raises(StoreDamaged, match="restore it"):
        Database(path)
    assert path.read_bytes().startswith(b"this is no database")


async def test_damaged_pages_are_refused(path: Path) -> None:
    """A page of noise in the middle is found at start, not when it is read."""
    database = Database(path)
    big = b"x" * 200_000
    await database.run(
        lambda connection: (
            connection.execute(
                "INSERT INTO pods VALUES ('u', 'r', 'desired', ?, 0)", (big,)
            ).rowcount
        )
    )
    database.close()
    _overwrite(path, start=4096, noise=b"\xff" * 16384)
    with pytest.raises(StoreDamaged):
        Database(path)


def test_unwritable_folder_is_a_clear_error(tmp_path: Path) -> None:
    """A file where the folder should be."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be opened"):
        Database(tmp_path / "file" / "edgelet.db")


async def test_full_disk_fails_the_write_and_keeps_the_rest(database: Database) -> None:
    """An operation that the disk refuses raises; what was there stays and can be read."""
    await database.run(lambda connection: connection.execute(INSERT, ("kept",)).rowcount)
    await database.run(lambda c: c.execute("PRAGMA max_page_count=14").fetchall())
    with pytest.raises(StoreError, match="cannot be written"):
        await database.run(
            lambda c: (
                c.execute(
                    "INSERT INTO pods VALUES ('u', 'r', 'desired', zeroblob(1000000), 0)"
                ).rowcount
            )
        )
    assert await database.run(_count) == 1


async def test_open_twice_applies_each_migration_once(path: Path) -> None:
    """Opening an up-to-date file changes nothing."""
    Database(path).close()
    database = Database(path)
    assert await database.run(_count) == 0
    database.close()


async def test_cancelled_call_hurts_nobody(database: Database) -> None:
    """The thread goes on; the next call works."""
    task = asyncio.ensure_future(database.run(_count))  # noqa: TID251  # cancelled below
    await asyncio.sleep(0)
    task.cancel()
    assert await database.run(_count) == 0


def test_in_use_is_a_store_error() -> None:
    """One except clause catches them all."""
    assert issubclass(StoreInUse, StoreError)


def test_nobody_else_may_read_the_file(tmp_path: Path) -> None:
    """Nor those beside it: pods come with their secrets. One that was open is closed."""
    file = tmp_path / "edgelet.db"
    for _ in range(2):
        database = Database(file)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        database.close()
        assert modes == {"edgelet.db": 0o600, "edgelet.db-wal": 0o600, "sealing.key": 0o600}
        file.chmod(0o644)


async def test_transactions_are_told(tmp_path: Path) -> None:
    """How many operations each had, how long it took, and that one could not be written."""
    told: list[tuple[int, bool]] = []

    def committed(*, operations: int, duration_s: float, has_failed: bool) -> None:
        assert 0 <= duration_s < 60
        told.append((operations, has_failed))

    database = Database(tmp_path / "edgelet.db", committed=committed)
    try:
        await database.write(INSERT, [("a",), ("b",)])
        assert told == [(1, False)]
        assert database.size_bytes() > 4096
        await database.run(lambda connection: connection.execute("PRAGMA max_page_count=1").close())
        with pytest.raises(StoreError):
            await database.write(INSERT, [(f"{index:0500}",) for index in range(1000)])
        assert told[-1] == (1, True)
    finally:
        database.close()
