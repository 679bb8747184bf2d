"""One devcluster for all end-to-end tests, one namespace for each module.

The suite uses the devcluster of this checkout if it is up, else it brings it up, and takes down
only what it brought up. Run by several processes (pytest-xdist), each but the first has a
devcluster of its own.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devcluster.layout import default_root
from tests.e2e.cluster import Cluster, bring_up, exists, take_down
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.kubectl import Kubectl

HERE = Path(__file__).parent
# What stops processes and cuts the link comes after everything that only uses them. The longest are
# last, in an order in which two processes end at about the same time, and the comparison with a
# kubelet, which a busy machine may spoil, runs beside the cut in which nothing happens.
LAST = (
    "test_pressure",
    "test_runtime_outage",
    "test_systemd_cgroups",
    "test_prometheus",
    "test_logs_rotation",
    "test_node_logs",
    "test_rolling_update",
    "test_two_commands",
    "test_link_cuts",
    "test_survival",
    "test_offline",
    "test_parity",
)
TEST_TIMEOUT_S = 300
FIRST_WORKER = "gw0"
FIRST_ROOT = default_root()


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


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let one process bring a devcluster up: each looks for a network that no other one has."""
    with Path(tempfile.gettempdir(), "edgelet-e2e.lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def session_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """The devcluster, up, with a Ready node."""
    if os.geteuid() != 0:
        missing = "needs root: the devcluster makes network namespaces and runs containerd"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    worker = os.environ.get("PYTEST_XDIST_WORKER", FIRST_WORKER)
    if worker != FIRST_WORKER:
        # Asked for again where it failed: the first process's folder must not be asked for twice.
        os.environ["DEVCLUSTER_DIR"] = f"{FIRST_ROOT}-{worker}"
    capture = request.config.pluginmanager.getplugin("capturemanager")
    ours = not exists()
    try:
        with capture.global_and_fixture_disabled(), one_at_a_time():
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
def kubelet(cluster: Cluster, request: pytest.FixtureRequest) -> Cluster:
    """The devcluster with a real kubelet beside the site; it stays until the devcluster goes."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        failure = bring_up("--with-kubelet")
    assert not failure
    return cluster


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """A kubectl in the module's own namespace, which is deleted with all its pods afterwards.

    The next module begins when the pods are gone from the API and the machine; what else is in the
    namespace, and itself, goes meanwhile. Pods are told to go at once: the namespace controller
    waits for 5 s before it begins.
    """
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
    everywhere.ok("delete", "namespace", name, "--wait=false")
    inside.ok("delete", "pods", "--all", "--grace-period=1", "--wait=false")
    eventually(
        lambda: not inside.json("get", "pods")["items"] and not cluster.container_ids(name),
        what=f"no pod of {name} is left",
        timeout_s=90,
    )
