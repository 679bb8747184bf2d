"""The edge's own Node survives a restart and an absent cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.node import Node, Taint, initial_node
from edge_runtime.store.database import Database
from edge_runtime.store.errors import StoreDamaged
from edge_runtime.store.node_store import NodeStore
from tunnel.sync import NodePut

if TYPE_CHECKING:
    from pathlib import Path

PUT = NodePut(
    revision="r1",
    name="shop",
    labels={"zone": "a"},
    annotations={"note": "x"},
    taints=[{"key": "k", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}],
    pod_cidrs=["10.0.0.0/24"],
)


async def test_newest_node_is_read_back(path: Path) -> None:
    """After a restart of the process, under whatever name it was told last."""
    database = Database(path)
    store = NodeStore(database)
    await store.load()
    assert store.node is None
    await store.put(NodePut(revision="r0", name="old"))
    await store.put(PUT)
    database.close()
    database = Database(path)
    store = NodeStore(database)
    await store.load()
    assert store.node == Node(
        name="shop",
        labels={"zone": "a"},
        annotations={"note": "x"},
        taints=(Taint(key="k", effect="NoExecute"),),
        pod_cidrs=("10.0.0.0/24",),
    )
    database.close()


async def test_damaged_row_is_no_node(database: Database) -> None:
    """What cannot be read must not look like a Node without taints."""
    await NodeStore(database).put(PUT)
    await database.write("UPDATE nodes SET node = ?", [(b"{",)])
    with pytest.raises(StoreDamaged, match="stored Node"):
        await NodeStore(database).load()


def test_unknown_node_has_the_labels_of_its_machine() -> None:
    """A kubelet admits with them before it ever saw its Node."""
    node = initial_node(architecture="arm64")
    assert (node.name, node.labels["kubernetes.io/arch"]) == ("", "arm64")
