"""One devcluster for all end-to-end tests, one namespace for each module.

The suite uses the devcluster of this checkout if it is up, else it brings it up, and takes down
only what it brought up.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cluster import Cluster, bring_up, exists, take_down
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.kubectl import Kubectl

HERE = Path(__file__).parent
# What stops processes and cuts the link comes after everything that only uses them, and what takes
# the devcluster down comes last.
LAST = (
    "test_prometheus",
    "test_logs_rotation",
    "test_node_logs",
    "test_rolling_update",
    "test_link_cuts",
    "test_survival",
    "test_two_commands",
)
TEST_TIMEOUT_S = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the end-to-end tests, and run them after the unit tests, destructive ones last."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)
        is_timed = item.get_closest_marker("timeout") is not None
        if item.get_closest_marker("e2e") is not None and not is_timed:
            # Only the test's own time: the first one's fixture may build a control plane.
            item.add_marker(pytest.mark.timeout(TEST_TIMEOUT_S, func_only=True))
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    if item.get_closest_marker("e2e") is None:
        return 0
    return 2 + LAST.index(item.path.stem) if item.path.stem in LAST else 1


@pytest.fixture(scope="session")
def session_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The devcluster, up, with a Ready node."""
    if os.geteuid() != 0:
        missing = "needs root: the devcluster makes network namespaces and runs containerd"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    capture = request.config.pluginmanager.getplugin("capturemanager")
    ours = not exists()
    try:
        with capture.global_and_fixture_disabled():
            failure = bring_up()
        if failure:
            # Without it there is nothing that the other end-to-end tests could tell.
            pytest.exit(failure, returncode=pytest.ExitCode.TESTS_FAILED)
        cluster = Cluster()
        eventually(
            lambda: cluster.node_condition("Ready") == "True",
            what=f"the node {cluster.site} is Ready",
            timeout_s=60,
        )
        yield cluster
    finally:
        if ours:
            with capture.global_and_fixture_disabled():
                assert not take_down()


@pytest.fixture(scope="module")
def cluster(session_cluster: Cluster) -> Cluster:
    """The devcluster as it is when a module begins."""
    return session_cluster


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """A kubectl in the module's own namespace, which is deleted with all its pods afterwards."""
    name = f"e2e-{request.path.stem.removeprefix('test_').replace('_', '-')}"
    everywhere = cluster.kubectl
    everywhere.ok("delete", "namespace", name, "--ignore-not-found", "--timeout=90s", timeout_s=120)
    everywhere.ok("create", "namespace", name)
    inside = everywhere.within(name)
    eventually(
        lambda: inside.run("get", "serviceaccount", "default").status == 0,
        what="the controller manager made the default service account",
        timeout_s=30,
    )
    yield inside
    everywhere.ok("delete", "namespace", name, "--timeout=90s", timeout_s=120)
