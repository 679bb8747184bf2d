"""Tables of the edge's database, as migrations that run once each, in order.

A migration that was released is never changed: a later one corrects it. Which ones ran stands in
the table that sqlite-utils keeps for this, since earlier versions of edgelet migrated by it; that
library itself would stay resident, with its command line, for what happens at one start in many.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_SET = "edgelet"
_RECORDS = (
    "CREATE TABLE IF NOT EXISTS _sqlite_migrations"
    " (id INTEGER PRIMARY KEY, migration_set TEXT, name TEXT, applied_at TEXT)",
    "CREATE UNIQUE INDEX IF NOT EXISTS idx__sqlite_migrations_migration_set_name"
    " ON _sqlite_migrations (migration_set, name)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step from a schema to the next.

    Attributes:
        name: Never used for another one.
        statements: SQL, in order; none begins or ends a transaction.
    """

    name: str
    statements: tuple[str, ...]


MIGRATIONS = (
    # Desired pods; ``state`` is pod_store.PodState, ``pod`` is JSON and empty once gone.
    Migration(
        name="create_pods",
        statements=(
            "CREATE TABLE pods (uid TEXT PRIMARY KEY, revision TEXT NOT NULL,"
            " state TEXT NOT NULL, pod BLOB NOT NULL, gone_sequence INTEGER NOT NULL)",
        ),
    ),
    # The newest status of each pod; sequences only grow.
    Migration(
        name="create_statuses",
        statements=(
            "CREATE TABLE statuses (uid TEXT PRIMARY KEY, sequence INTEGER NOT NULL,"
            " hash TEXT NOT NULL, status BLOB NOT NULL)",
        ),
    ),
    # What must be known of a container after the runtime lost it.
    Migration(
        name="create_containers",
        statements=(
            "CREATE TABLE containers (uid TEXT, name TEXT, attempt INTEGER NOT NULL,"
            " backoff_key TEXT NOT NULL, backoff_s REAL NOT NULL,"
            " backoff_updated_at_s REAL NOT NULL, PRIMARY KEY (uid, name))",
        ),
    ),
    # Events that the API does not hold yet, in the order of their last change.
    Migration(
        name="create_events",
        statements=(
            "CREATE TABLE events (id TEXT PRIMARY KEY, position INTEGER NOT NULL,"
            " event BLOB NOT NULL)",
        ),
    ),
    # Objects that pods refer to; ``object`` is JSON, empty for one that the API does not have.
    Migration(
        name="create_objects",
        statements=(
            "CREATE TABLE objects (kind TEXT, namespace TEXT, name TEXT, revision TEXT NOT NULL,"
            " object BLOB NOT NULL, PRIMARY KEY (kind, namespace, name))",
        ),
    ),
    # The edge's own Node; ``node`` is the newest NodePut as JSON.
    Migration(
        name="create_nodes",
        statements=("CREATE TABLE nodes (name TEXT PRIMARY KEY, node BLOB NOT NULL)",),
    ),
    # What admitted pods hold; ``allocation`` is allocation_store.PodAllocation as JSON.
    Migration(
        name="create_allocations",
        statements=("CREATE TABLE allocations (uid TEXT PRIMARY KEY, allocation BLOB NOT NULL)",),
    ),
    # Whose credentials opened each image, and the names whose pull began; ``record`` is JSON.
    Migration(
        name="create_pull_records",
        statements=(
            "CREATE TABLE pulled_images (image_ref TEXT PRIMARY KEY, record BLOB NOT NULL)",
            "CREATE TABLE pull_intents (image TEXT PRIMARY KEY)",
        ),
    ),
    # Why pods are being ended in phase Failed, from when their end began.
    Migration(
        name="create_failures",
        statements=(
            "CREATE TABLE failures (uid TEXT PRIMARY KEY, reason TEXT NOT NULL,"
            " message TEXT NOT NULL, grace_period_s INTEGER, is_disruption INTEGER NOT NULL)",
        ),
    ),
    # The Services of namespaces; ``services`` is a JSON list.
    Migration(
        name="create_services",
        statements=(
            "CREATE TABLE services (namespace TEXT PRIMARY KEY, revision TEXT NOT NULL,"
            " services BLOB NOT NULL)",
        ),
    ),
    # Which key seals what is secret (sealed_rows.py), and the tokens of pods; ``want`` is a
    # TokenWant as JSON, ``token`` is sealed.
    Migration(
        name="create_sealing",
        statements=(
            "CREATE TABLE sealing (key_id TEXT PRIMARY KEY, is_wiped INTEGER NOT NULL)",
            "CREATE TABLE tokens (key TEXT PRIMARY KEY, uid TEXT NOT NULL, want BLOB NOT NULL,"
            " token BLOB NOT NULL, expiry TEXT NOT NULL, issued_at TEXT NOT NULL)",
        ),
    ),
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring a database up to date, all or nothing.

    Args:
        connection: In autocommit mode, with no transaction open.

    Raises:
        sqlite3.Error: It cannot be done; nothing changed.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        _apply(connection)
        connection.execute("COMMIT")
    except BaseException:
        # SQLite ends the transaction by itself after some errors, as of a full disk.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _apply(connection: sqlite3.Connection) -> None:
    for statement in _RECORDS:
        connection.execute(statement)
    rows = connection.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = ?", [_SET])
    applied = {name for (name,) in rows}
    for migration in MIGRATIONS:
        if migration.name in applied:
            continue
        for statement in migration.statements:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES (?, ?, ?)",
            (_SET, migration.name, str(datetime.now(UTC))),
        )
