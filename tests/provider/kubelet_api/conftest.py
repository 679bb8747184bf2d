"""What the tests of the kubelet port share."""

from __future__ import annotations

import pytest

from tests.fakes.kubelet_port import ClusterPki


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> ClusterPki:
    """Make the cluster's certificates once."""
    return ClusterPki(tmp_path_factory.mktemp("cluster"))
