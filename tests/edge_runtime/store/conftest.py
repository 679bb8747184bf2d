"""A database of its own for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is."""
    return tmp_path / "state" / "edgelet.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    """An open database."""
    opened = Database(path)
    yield opened
    opened.close()
