"""A real Prometheus scrapes a site, with a bearer token and what manifests/monitoring ships."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.e2e.pods import pod
from tests.e2e.prometheus import prometheus
from tests.e2e.providers import site_layout
from tests.e2e.waiting import eventually
from tests.manifests.monitoring import (
    FOLDER,
    alerts,
    dashboard_queries,
    promtool,
    selectors,
)
from tests.metrics_doc import documented, exposed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl
    from tests.e2e.prometheus import Prometheus

Json = dict[str, Any]
ACCOUNT = "prometheus-k8s"
# Enough of scrapes for every rate of the dashboard, whose windows are as long as that.
RATE_INTERVAL = "30s"
DATA_TIMEOUT_S = 90
PAGES = ("/metrics", "/metrics/cadvisor", "/metrics/probes", "/metrics/resource")


@pytest.fixture(scope="module")
def running_pod(kubectl: Kubectl, cluster: Cluster) -> str:
    """A pod that can be measured."""
    probed = pod("measured", site=cluster.site)
    probed["spec"]["containers"][0]["readinessProbe"] = {
        "exec": {"command": ["true"]},
        "periodSeconds": 1,
    }
    kubectl.apply(probed)
    kubectl.wait("condition=Ready", "pod/measured")
    return "measured"


@pytest.fixture(scope="module")
def server(
    cluster: Cluster,
    kubectl: Kubectl,
    running_pod: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Prometheus]:
    """Prometheus with the rights that manifests/monitoring gives it, and no others."""
    del running_pod
    rights = _rights(kubectl.namespace)
    kubectl.ok("create", "serviceaccount", ACCOUNT)
    token = kubectl.ok("create", "token", ACCOUNT).strip()
    try:
        cluster.kubectl.apply(*rights)
        with prometheus(
            tmp_path_factory.mktemp("prometheus"),
            discovered={"endpointslice": _providers(cluster), "node": _nodes(cluster)},
            authority=site_layout(cluster.site).cluster.pki / "ca.crt",
            token=token,
        ) as running:
            yield running
    finally:
        for item in rights:
            name = item["metadata"]["name"]
            cluster.kubectl.ok("delete", item["kind"], name, "--ignore-not-found")


def _rights(namespace: str) -> list[Json]:
    """Return those of manifests/monitoring, for an account of this test's namespace."""
    documents = list(yaml.safe_load_all((FOLDER / "rights.yaml").read_text()))
    for item in documents:
        for subject in item.get("subjects", ()):
            assert subject["name"] == ACCOUNT
            subject["namespace"] = namespace
    return documents


def _providers(cluster: Cluster) -> list[Json]:
    """Return what is discovered of the site's Service; here the provider is no pod."""
    namespace = f"edgelet-{cluster.site}"
    everything = cluster.kubectl.json("get", "services", "--namespace", namespace)["items"]
    address = cluster.environment["DEVCLUSTER_PROVIDER_ADDRESS"]
    return [
        {
            "targets": [f"{address}:{port['port']}"],
            "labels": {
                **_meta("service_label", service["metadata"].get("labels", {})),
                **_meta("endpointslice", {"port_name": port["name"]}),
                "__meta_kubernetes_namespace": namespace,
                "__meta_kubernetes_pod_name": "provider-0",
            },
        }
        for service in everything
        for port in service["spec"]["ports"]
    ]


def _nodes(cluster: Cluster) -> list[Json]:
    """Return what is discovered of the site's Node: its first address, its kubelet's port."""
    node = cluster.node()
    [address] = [each["address"] for each in node["status"]["addresses"]]
    port = node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"]
    labels = {"__meta_kubernetes_node_name": node["metadata"]["name"]}
    return [{"targets": [f"{address}:{port}"], "labels": labels}]


def _meta(kind: str, values: Mapping[str, str]) -> Json:
    return {
        f"__meta_kubernetes_{kind}_{re.sub(r'[^a-zA-Z0-9_]', '_', name)}": value
        for name, value in values.items()
    }


def test_every_page_is_scraped(server: Prometheus, cluster: Cluster) -> None:
    """Provider and site, each with the one label by which panels and alerts tell sites apart."""
    wanted = {"edgelet-provider /edgelet/metrics", *(f"kubelet {page}" for page in PAGES)}

    def healthy() -> bool:
        targets = server.targets()
        assert set(targets) == wanted, server.log()[-2000:]
        for name, target in targets.items():
            assert target["health"] == "up", f"{name}: {target['lastError']}"
        return True

    eventually(healthy, what="all targets are up", timeout_s=60)
    for target in server.targets().values():
        assert target["labels"]["node"] == cluster.site


def test_every_panel_of_the_dashboard_has_something_to_show(
    server: Prometheus, cluster: Cluster
) -> None:
    """Each of its queries, as Grafana sends it."""
    queries = dashboard_queries(node=cluster.site, rate_interval=RATE_INTERVAL)
    assert len(queries) > 15

    def all_there() -> bool:
        empty = [name for name, query in queries.items() if not server.query(query)]
        assert not empty, f"no data for {empty}"
        return True

    eventually(all_there, what="every panel has data", timeout_s=DATA_TIMEOUT_S, every_s=2)


def test_every_rule_reads_figures_that_are_there(server: Prometheus, cluster: Cluster) -> None:
    """A rule on a name or a label that nobody exposes would keep quiet for ever."""
    by_name = {
        rule["name"]: rule for each in server.get("rules")["groups"] for rule in each["rules"]
    }
    assert set(by_name) == set(alerts())

    def all_evaluated() -> bool:
        rules = [rule for each in server.get("rules")["groups"] for rule in each["rules"]]
        return all(rule["health"] == "ok" for rule in rules)

    eventually(all_evaluated, what="every rule was evaluated", timeout_s=30)
    for name, rule in alerts().items():
        server.query(rule["expr"])
        for selector in selectors(rule["expr"]):
            family, _, matchers = selector.partition("{")
            own = re.findall(r'(?:job|metrics_path)="[^"]*"', matchers)
            series = server.query(f"{family}{{{','.join([*own, _of(cluster)])}}}")
            assert series, f"{name}: there is no {selector}"
            labels = set(re.findall(r"(\w+)(?:=~|!=|=)", matchers))
            assert all(labels <= set(each["metric"]) for each in series), f"{name}: {selector}"


def test_what_is_exposed_is_what_is_documented(cluster: Cluster) -> None:
    """docs/metrics.md names every family of every page, and no other."""
    pages = documented()
    assert set(pages) == {"/edgelet/metrics", *PAGES}
    for page, families in pages.items():
        path = f"/api/v1/nodes/{cluster.site}/proxy{page}"
        text = cluster.kubectl.ok("get", "--raw", path)
        # Names of others are as they are: cAdvisor has a counter without "_total".
        own = "".join(line for line in text.splitlines(keepends=True) if "edgelet_" in line)
        assert promtool("check", "metrics", stdin=own) == ""
        found = exposed(text)
        always = {name: each.kind for name, each in families.items() if each.is_always}
        every = {name: each.kind for name, each in families.items()}
        assert found.items() <= every.items(), f"{page} has more than docs/metrics.md"
        assert always.items() <= found.items(), f"{page} lacks what docs/metrics.md has"


def test_a_site_that_goes_away_is_noticed(server: Prometheus, cluster: Cluster) -> None:
    """The provider's figures go on, and the alert begins to wait its ten minutes."""
    pending = f'ALERTS{{alertname="EdgeletSiteOffline",alertstate="pending",{_of(cluster)}}}'
    assert not server.query(pending)
    cluster.stop("edge", signal="KILL")
    try:
        eventually(lambda: server.query(pending), what="the alert is pending", timeout_s=60)
        away = f'up{{job="kubelet",metrics_path="/metrics",{_of(cluster)}}} == 0'
        eventually(lambda: server.query(away), what="the edge is not scraped", timeout_s=30)
        assert server.query(f'up{{job="edgelet-provider",{_of(cluster)}}} == 1')
    finally:
        cluster.start("edge")
    eventually(lambda: not server.query(pending), what="the alert is off", timeout_s=60)


def _of(cluster: Cluster) -> str:
    return f'node="{cluster.site}"'
