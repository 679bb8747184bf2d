"""metrics-server is registered as what it is: a process beside the API server."""

from __future__ import annotations

from pathlib import Path

from devcluster import metrics_api
from devcluster.layout import ClusterLayout


def _cluster() -> ClusterLayout:
    return ClusterLayout(root=Path("/x/.devcluster"), network="10.98.7")


def test_the_registered_service_leads_to_where_it_listens(tmp_path: Path) -> None:
    """No proxy of Service addresses runs in the cloud, so the endpoint must be the very socket."""
    cluster = _cluster()
    items = {item["kind"]: item for item in metrics_api.objects(cluster)["items"]}
    (endpoint,) = items["EndpointSlice"]["endpoints"]
    (port,) = items["EndpointSlice"]["ports"]
    flags = metrics_api.flags(cluster, authority_file=tmp_path / "ca.crt")
    assert f"--bind-address={endpoint['addresses'][0]}" in flags
    assert f"--secure-port={port['port']}" in flags
    service = items["APIService"]["spec"]["service"]
    assert service["name"] == items["Service"]["metadata"]["name"]


def test_it_may_read_figures_and_nothing_else_of_nodes() -> None:
    """Its rights are metrics-server's own: no proxy, no exec."""
    items = metrics_api.objects(_cluster())["items"]
    (role,) = [item for item in items if item["kind"] == "ClusterRole"]
    assert role["rules"][0] == {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]}
