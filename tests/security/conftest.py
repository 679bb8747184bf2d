"""The devcluster, for the claims that only a real API server can show."""

from __future__ import annotations

from tests.e2e.conftest import (
    cluster,
    kubectl,
    pytest_collection_modifyitems,
    session_cluster,
)

__all__ = ["cluster", "kubectl", "pytest_collection_modifyitems", "session_cluster"]
