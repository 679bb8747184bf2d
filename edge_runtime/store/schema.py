"""Tables of the edge's database, as migrations that run once each, in order.

A migration that was released is never changed: a later one corrects it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlite_utils.migrations import Migrations

if TYPE_CHECKING:
    from sqlite_utils.db import Database

migrations = Migrations("edgelet")


@migrations()
def create_pods(db: Database) -> None:
    """Desired pods; ``state`` is pod_store.PodState, ``pod`` is JSON and empty once gone."""
    db.table("pods").create(
        {"uid": str, "revision": str, "state": str, "pod": bytes, "gone_sequence": int},
        pk="uid",
        not_null={"revision", "state", "pod", "gone_sequence"},
    )


@migrations()
def create_statuses(db: Database) -> None:
    """The newest status of each pod; sequences only grow."""
    db.table("statuses").create(
        {"uid": str, "sequence": int, "hash": str, "status": bytes},
        pk="uid",
        not_null={"sequence", "hash", "status"},
    )


@migrations()
def create_containers(db: Database) -> None:
    """What must be known of a container after the runtime lost it."""
    db.table("containers").create(
        {
            "uid": str,
            "name": str,
            "attempt": int,
            "backoff_key": str,
            "backoff_s": float,
            "backoff_updated_at_s": float,
        },
        pk=("uid", "name"),
        not_null={"attempt", "backoff_key", "backoff_s", "backoff_updated_at_s"},
    )


@migrations()
def create_events(db: Database) -> None:
    """Events that the API does not hold yet, in the order of their last change."""
    db.table("events").create(
        {"id": str, "position": int, "event": bytes}, pk="id", not_null={"position", "event"}
    )


@migrations()
def create_objects(db: Database) -> None:
    """Objects that pods refer to; ``object`` is JSON, empty for one that the API does not have."""
    db.table("objects").create(
        {"kind": str, "namespace": str, "name": str, "revision": str, "object": bytes},
        pk=("kind", "namespace", "name"),
        not_null={"revision", "object"},
    )


@migrations()
def create_nodes(db: Database) -> None:
    """The edge's own Node; ``node`` is the newest NodePut as JSON."""
    db.table("nodes").create({"name": str, "node": bytes}, pk="name", not_null={"node"})


@migrations()
def create_allocations(db: Database) -> None:
    """What admitted pods hold; ``allocation`` is allocation_store.PodAllocation as JSON."""
    db.table("allocations").create(
        {"uid": str, "allocation": bytes}, pk="uid", not_null={"allocation"}
    )


@migrations()
def create_pull_records(db: Database) -> None:
    """Whose credentials opened each image, and the names whose pull began; ``record`` is JSON."""
    db.table("pulled_images").create(
        {"image_ref": str, "record": bytes}, pk="image_ref", not_null={"record"}
    )
    db.table("pull_intents").create({"image": str}, pk="image")


@migrations()
def create_failures(db: Database) -> None:
    """Why pods are being ended in phase Failed, from when their end began."""
    db.table("failures").create(
        {
            "uid": str,
            "reason": str,
            "message": str,
            "grace_period_s": int,
            "is_disruption": int,
        },
        pk="uid",
        not_null={"reason", "message", "is_disruption"},
    )
