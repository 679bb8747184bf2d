"""The site's page, as an operator opens it: through ``kubectl proxy``, in a browser."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.browser import chromium, rendered, screenshot
from tests.e2e.pods import pod
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

PROJECT_ROOT = Path(__file__).resolve().parents[2]
# Kept for whoever looks at what a run left.
ARTEFACTS = Path(os.environ.get("EDGELET_ARTEFACTS") or PROJECT_ROOT / "build/artefacts")


@pytest.fixture(scope="module")
def page(cluster: Cluster) -> Iterator[str]:
    """The page's address at ``kubectl proxy``, which serves this machine's loopback only."""
    with cluster.kubectl.running("proxy", "--port=0") as proxy:
        said = proxy.line(containing="Starting to serve on", timeout_s=30).text
        found = re.search(r"127\.0\.0\.1:(\d+)", said)
        assert found is not None, said
        yield f"http://{found[0]}/api/v1/nodes/{cluster.site}/proxy/edgelet/"


def test_the_page_shows_link_pods_events_and_certificates(
    page: str, cluster: Cluster, kubectl: Kubectl
) -> None:
    """What an operator wants to know at a glance, in a real browser, which finds nothing amiss."""
    chromium()
    kubectl.apply(pod("till", site=cluster.site))
    kubectl.ok("wait", "pod/till", "--for=condition=Ready", "--timeout=60s", timeout_s=70)
    eventually(
        lambda: "till" in _answer(cluster, ""),
        what="the page knows the new pod",
        timeout_s=15,
    )
    document = rendered(page)
    assert re.search(r"Connected</span> for \S+, since .* UTC, round trip [\d.]+ ms", document)
    assert f"Site {cluster.site}" in document
    assert re.search(r"<td>till</td><td>1/1</td><td><span class=\"good\">Running</span>", document)
    for text in (
        ">Started<",
        f"Pod/{kubectl.namespace}/till",
        "Site CA",
        "Edge port",
        "Kubelet port",
        "days</span>",
    ):
        assert text in document
    assert "<svg" in document
    width, height = screenshot(page, ARTEFACTS / "status-page.png")
    assert (width, height) == (1100, 900)


def test_scripts_get_the_same_as_json(cluster: Cluster) -> None:
    """One address further."""
    status = json.loads(_answer(cluster, "status.json"))
    assert status["site"] == cluster.site
    assert status["link"]["state"] == "connected"
    # The event loop's clock counts milliseconds: beside each other both ends may take none.
    assert 0 <= status["link"]["roundTripSeconds"] < 5
    assert {each["name"] for each in status["certificates"]} >= {"Edge", "Site CA"}


def test_whoever_may_not_reach_the_nodes_proxy_sees_nothing(cluster: Cluster) -> None:
    """The page shows what runs on the site, which is not for everybody."""
    path = f"/api/v1/nodes/{cluster.site}/proxy/edgelet/"
    refused = cluster.kubectl.run("get", "--raw", path, "--as=jane", "--as-group=shop")
    assert refused.status != 0
    assert 'User "jane" cannot get resource "nodes/proxy"' in refused.error


def test_the_providers_own_figures_are_there(cluster: Cluster) -> None:
    """For Prometheus, and also while the site is away."""
    assert "\nedgelet_tunnel_connected 1.0\n" in _answer(cluster, "metrics")


def _answer(cluster: Cluster, path: str) -> str:
    """Return what the provider answers below /edgelet/, asked through the API server."""
    return cluster.kubectl.ok("get", "--raw", f"/api/v1/nodes/{cluster.site}/proxy/edgelet/{path}")
