"""Brings a database and its key together, at each start, before anybody reads a row.

What was not sealed is sealed, what was sealed with an earlier key is sealed with the present one,
and no trace of either stays in the file or in its -wal. A power cut at any point is taken up where
it fell: the key is on disk BEFORE the rows that it seals, and ``is_wiped`` AFTER the traces went.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.store.errors import StoreError
from edge_runtime.store.sealing import Sealer, compute_key_id, is_sealed
from edge_runtime.store.sealing_key import SealingKeyError, way_to_a_new_key

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from edge_runtime.store.sealing_key import KeySource

logger = logging.getLogger(__name__)

SEALED_KIND = "Secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class _SealedWith:
    key_id: str
    is_wiped: bool


def object_row(*, kind: str, namespace: str, name: str) -> tuple[str, ...]:
    """Return what the sealed body of an object is bound to."""
    return ("objects", kind, namespace, name)


def token_row(key: str) -> tuple[str, ...]:
    """Return what a sealed token is bound to."""
    return ("tokens", key)


def adopt_key(connection: sqlite3.Connection, sources: Sequence[KeySource]) -> Sealer:
    """Find or make the key, and leave all that is secret sealed with it.

    Args:
        connection: In autocommit mode, with no transaction open, and up to date.
        sources: Where the key belongs, then where it may be yet.

    Raises:
        SealingKeyError: There is a key, but not this database's, or none can be had or made.
        StoreDamaged: A row is not what was sealed.
        sqlite3.Error: The disk refuses.
    """
    configured, *earlier = sources
    before = _sealed_with(connection)
    key = configured.read()
    old = None
    if before is not None and (key is None or compute_key_id(key) != before.key_id):
        old = _find(earlier, before.key_id)
        if old is None:
            _refuse_to_forget(configured, is_there=key is not None)
            _forget_sealed(connection)
            before = None
    sealer = Sealer(key if key is not None else configured.make())
    if before is None or before.key_id != sealer.key_id:
        _seal(connection, sealer, opener=old[1] if old is not None else None)
        before = _SealedWith(key_id=sealer.key_id, is_wiped=False)
    if not before.is_wiped:
        _wipe(connection)
        connection.execute("UPDATE sealing SET is_wiped = 1")
    if old is not None:
        _remove(old[0])
    return sealer


def _refuse_to_forget(configured: KeySource, *, is_there: bool) -> None:
    """Raise unless the key is gone for good, so that what it sealed can only be asked for again."""
    way_out = f"put the right one back, or {way_to_a_new_key(configured)}"
    if is_there:
        raise SealingKeyError(
            f"{configured.path} is not the key that this database is sealed with: {way_out}"
        )
    if configured.is_awaited:
        raise SealingKeyError(f"the sealing key {configured.path} is missing: {way_out}")


def _find(sources: Sequence[KeySource], key_id: str) -> tuple[KeySource, Sealer] | None:
    for source in sources:
        try:
            key = source.read()
        except SealingKeyError as exc:
            logger.warning("an earlier sealing key cannot be read", extra={"reason": str(exc)})
            continue
        if key is not None and compute_key_id(key) == key_id:
            return source, Sealer(key)
    return None


def _remove(source: KeySource) -> None:
    try:
        source.path.unlink()
    except OSError as exc:
        raise SealingKeyError(
            f"the database is sealed with a new key, but the old one cannot be removed:"
            f" {source.path}: {exc.strerror}"
        ) from exc
    logger.info("the sealing key was replaced", extra={"old": str(source.path)})


def _sealed_with(connection: sqlite3.Connection) -> _SealedWith | None:
    row = connection.execute("SELECT key_id, is_wiped FROM sealing").fetchone()
    return None if row is None else _SealedWith(key_id=row[0], is_wiped=bool(row[1]))


def _forget_sealed(connection: sqlite3.Connection) -> None:
    """Drop what nobody can open any more: Hello does not name it, so the cloud sends it again."""

    def forget() -> int:
        found = connection.execute(
            "SELECT kind, namespace, name, object FROM objects WHERE kind = ?", [SEALED_KIND]
        )
        lost = [tuple(row[:3]) for row in found if is_sealed(row[3])]
        sql = "DELETE FROM objects WHERE kind = ? AND namespace = ? AND name = ?"
        connection.executemany(sql, lost)
        tokens = connection.execute("DELETE FROM tokens").rowcount
        connection.execute("DELETE FROM sealing")
        return len(lost) + tokens

    lost = _transact(connection, forget)
    logger.warning("the sealing key is gone, and with it what it sealed", extra={"values": lost})


def _seal(connection: sqlite3.Connection, sealer: Sealer, *, opener: Sealer | None) -> None:
    """Seal everything with a new key.

    Args:
        connection: The database.
        sealer: The new key.
        opener: The earlier one; None where nothing is sealed.
    """

    def seal() -> int:
        changed = _seal_objects(connection, sealer, opener)
        if opener is not None:
            changed += _seal_tokens(connection, sealer, opener)
        connection.execute("DELETE FROM sealing")
        connection.execute("INSERT INTO sealing VALUES (?, 0)", [sealer.key_id])
        return changed

    _transact(connection, seal)


def _seal_objects(connection: sqlite3.Connection, sealer: Sealer, opener: Sealer | None) -> int:
    found = connection.execute(
        "SELECT kind, namespace, name, object FROM objects WHERE kind = ? AND object <> x''",
        [SEALED_KIND],
    )
    changed = []
    for kind, namespace, name, body in found.fetchall():
        row = object_row(kind=kind, namespace=namespace, name=name)
        plain = opener.open(body, row=row) if opener is not None else body
        changed.append((sealer.seal(plain, row=row), kind, namespace, name))
    sql = "UPDATE objects SET object = ? WHERE kind = ? AND namespace = ? AND name = ?"
    connection.executemany(sql, changed)
    return len(changed)


def _seal_tokens(connection: sqlite3.Connection, sealer: Sealer, opener: Sealer) -> int:
    found = connection.execute("SELECT key, token FROM tokens").fetchall()
    changed = [
        (sealer.seal(opener.open(token, row=token_row(key)), row=token_row(key)), key)
        for key, token in found
    ]
    connection.executemany("UPDATE tokens SET token = ? WHERE key = ?", changed)
    return len(changed)


def _transact(connection: sqlite3.Connection, change: Callable[[], int]) -> int:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = change()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def _wipe(connection: sqlite3.Connection) -> None:
    """Write the whole file anew, and end the -wal: free pages and old frames go with it."""
    connection.execute("VACUUM")
    busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise StoreError("the database could not be wiped of what it held unsealed: it is in use")
