"""Two providers of one site: one serves, the other waits, and takes over when it is its turn."""

from __future__ import annotations

import base64
import secrets
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from devcluster.layout import EDGE_PORT, SiteLayout
from devcluster.sites import identity_folder
from tests.e2e.pods import pod
from tests.e2e.providers import Provider, approve, dials_go_to, readiness, site_layout
from tests.e2e.tls import Endpoint, ask, request
from tests.e2e.waiting import eventually
from tunnel.protocol import TUNNEL_PATH, TUNNEL_SUBPROTOCOL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

TAKEN_AFTER_KILL_S = 15.0
TAKEN_AFTER_STOP_S = 5.0
NO_LEASE = (503, "this provider does not hold the site's Lease")
READY = (200, "ok")


@pytest.fixture(scope="module")
def site(cluster: Cluster) -> SiteLayout:
    """The site's addresses and paths."""
    return site_layout(cluster.site)


@pytest.fixture
def standby(site: SiteLayout, tmp_path: Path) -> Provider:
    """A second provider."""
    return Provider(site, tmp_path)


def tunnel_status(cluster: Cluster, site: SiteLayout, address: str) -> int:
    """Dial a provider's tunnel with the edge's own certificate."""
    endpoint = Endpoint(
        netns=cluster.cloud_netns,
        address=address,
        port=EDGE_PORT,
        server_name=f"provider.{site.name}.edgelet.internal",
    )
    upgrade = request(
        "GET",
        TUNNEL_PATH,
        Connection="Upgrade",
        Upgrade="websocket",
        Sec_WebSocket_Version="13",
        Sec_WebSocket_Key=base64.b64encode(secrets.token_bytes(16)).decode(),
        Sec_WebSocket_Protocol=TUNNEL_SUBPROTOCOL,
        Edgelet_Instance=secrets.token_hex(16),
    )
    pair = (identity_folder(site) / "identity.pem").read_bytes()
    return ask(endpoint, upgrade, pair=pair)[0]


def wait_ready(site: SiteLayout, address: str, *, timeout_s: float) -> float:
    """Return after how many seconds a provider was ready."""
    began_at = time.monotonic()
    eventually(
        lambda: readiness(site, address) == READY,
        what=f"the provider at {address} holds the Lease",
        timeout_s=timeout_s,
        every_s=0.1,
    )
    return time.monotonic() - began_at


def wait_served(cluster: Cluster, kubectl: Kubectl, site: SiteLayout, address: str) -> None:
    """Wait until the API server reaches the site through a provider."""
    eventually(
        lambda: cluster.node()["status"]["addresses"][0]["address"] == address,
        what=f"the Node publishes {address}",
        timeout_s=20,
    )
    eventually(lambda: approve(site, address), what="its certificate is shown", timeout_s=30)
    eventually(
        lambda: kubectl.run("exec", "steady", "--", "echo", "hello").text == "hello\n",
        what="exec works",
        timeout_s=30,
    )


def test_the_other_provider_takes_over_and_gives_back(
    cluster: Cluster, kubectl: Kubectl, site: SiteLayout, standby: Provider
) -> None:
    """A rolling update forth, with an exec that goes on, and a kill back; no container changes."""
    kubectl.apply(pod("steady", site=site.name))
    kubectl.wait("condition=Ready", "pod/steady")
    before = cluster.task_ids()
    first = site.provider_address
    with standby.running() as second:
        eventually(
            lambda: readiness(site, standby.address) == NO_LEASE,
            what="the second provider is up and waits",
            timeout_s=30,
        )
        assert readiness(site, first) == READY
        assert tunnel_status(cluster, site, standby.address) == 503
        with dials_go_to(site, standby.address):
            _roll(cluster, kubectl, site, standby)
            cluster.start("provider")
            eventually(
                lambda: readiness(site, first) == NO_LEASE, what="the first waits", timeout_s=30
            )
            assert tunnel_status(cluster, site, first) == 503
        second.send_signal(signal.SIGKILL)
        assert wait_ready(site, first, timeout_s=30) <= TAKEN_AFTER_KILL_S
        wait_served(cluster, kubectl, site, first)
    assert cluster.task_ids() == before
    eventually(
        lambda: cluster.node_condition("Ready") == "True", what="the Node is Ready", timeout_s=30
    )


def _roll(cluster: Cluster, kubectl: Kubectl, site: SiteLayout, standby: Provider) -> None:
    """Stop the first provider in order while an exec runs through it."""
    with kubectl.running(
        "exec", "steady", "--", "sh", "-c", "echo runs; sleep 4; echo done; exit 7"
    ) as running:
        running.line(containing="runs")
        stopping = threading.Thread(
            target=cluster.stop, args=("provider",), kwargs={"signal": "TERM"}
        )
        stopping.start()
        try:
            assert wait_ready(site, standby.address, timeout_s=30) <= TAKEN_AFTER_STOP_S
            running.line(containing="done")
            assert running.wait(timeout_s=20) == 7
        finally:
            stopping.join()
    wait_served(cluster, kubectl, site, standby.address)
