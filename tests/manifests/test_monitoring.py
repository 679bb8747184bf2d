"""Alerts, dashboard and ServiceMonitor, without a Prometheus that scrapes anything."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path

import pytest
import yaml

from provider.kubelet_api.access import OWN_METRICS_PATH, wanted_access
from tests.manifests.monitoring import (
    FOLDER,
    PROJECT_ROOT,
    Json,
    alerts,
    dashboard,
    dashboard_queries,
    families,
    load,
    promtool,
    rule_groups,
    selectors,
)
from tests.manifests.test_manifests import build, needs_kubectl
from tests.metrics_doc import METRICS_DOC, documented

RUNBOOKS = PROJECT_ROOT / "docs/runbooks"
CASES = Path(__file__).with_name("alerts.yaml")
SECTIONS = ("## Meaning", "## Find out", "## What to do")
# What Prometheus itself adds.
ITS_OWN = {"up"}


def test_every_alert_fires_and_keeps_quiet_as_it_should(tmp_path: Path) -> None:
    """Each has a case of both kinds, and promtool runs them all."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": rule_groups()}))
    shutil.copy(CASES, tmp_path)
    fires: set[str] = set()
    quiet: set[str] = set()
    for test in yaml.safe_load(CASES.read_text())["tests"]:
        for case in test["alert_rule_test"]:
            (fires if case["exp_alerts"] else quiet).add(case["alertname"])
    assert fires == quiet == set(alerts())
    promtool("check", "rules", "rules.yaml", folder=tmp_path)
    promtool("test", "rules", CASES.name, folder=tmp_path)


@pytest.mark.parametrize("name", alerts())
def test_every_alert_leads_to_its_runbook(name: str) -> None:
    """One that says what it means, how to find out more, and what to do."""
    rule = alerts()[name]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    url = rule["annotations"]["runbook_url"]
    assert url == f"https://edgelet.invalid/docs/runbooks/{name}.md"
    text = (RUNBOOKS / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    assert [line for line in text.splitlines() if line.startswith("## ")] == list(SECTIONS)


def test_there_are_no_other_runbooks() -> None:
    """An alert that goes takes its runbook along."""
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == set(alerts())


def test_every_query_of_the_dashboard_can_be_read(tmp_path: Path) -> None:
    """By Prometheus' own parser: promtool takes them as recording rules."""
    queries = dashboard_queries(node="site-a", rate_interval="2m")
    rules = [
        {"record": f"panel:{number}", "expr": query}
        for number, query in enumerate(queries.values())
    ]
    document = {"groups": [{"name": "dashboard", "rules": rules}]}
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(document))
    assert f"{len(queries)} rules found" in promtool(
        "check", "rules", "rules.yaml", folder=tmp_path
    )


def test_what_is_queried_is_documented() -> None:
    """No alert and no panel asks for a figure that docs/metrics.md does not have."""
    documented = set(re.findall(r"`([a-z_]+)", METRICS_DOC.read_text()))
    queries = [rule["expr"] for rule in alerts().values()]
    queries += dashboard_queries(node="site-a", rate_interval="2m").values()
    asked = set().union(*(families(query) for query in queries))
    assert asked - ITS_OWN <= documented
    assert len(asked) > 15


def test_panels_do_not_overlap() -> None:
    """Grafana would push them about."""
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in itertools.combinations([panel["gridPos"] for panel in panels], 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        below = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or below, (one, other)


def test_selectors_of_an_expression() -> None:
    """Labels that are grouped by are none, and neither are functions."""
    query = 'sum by (node, pod) (rate(up{a="b"}[5m])) / on (node) max(edgelet_writer) unless up'
    assert selectors(query) == {'up{a="b"}', "edgelet_writer", "up"}
    assert families(query) == {"up", "edgelet_writer"}


def _metrics_service() -> Json:
    documents = yaml.safe_load_all((FOLDER.parent / "site/provider.yaml").read_text())
    [service] = [
        item for item in documents if item["metadata"]["name"] == "edgelet-provider-metrics"
    ]
    assert service["kind"] == "Service"
    found: Json = service
    return found


def test_the_service_monitor_finds_the_providers() -> None:
    """Its selector, port and path are those of the site's manifests; Prometheus' rights suffice."""
    service = _metrics_service()
    monitor = load("service-monitor.yaml")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "edgelet-provider"
    [endpoint] = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert (endpoint["scheme"], endpoint["path"]) == ("https", OWN_METRICS_PATH)
    # A token is shown to whom was verified, and to nobody else.
    assert "insecureSkipVerify" not in endpoint["tlsConfig"]
    documents = yaml.safe_load_all((FOLDER / "rights.yaml").read_text())
    rules = next(item for item in documents if item["kind"] == "ClusterRole")["rules"]
    wanted = wanted_access(method="GET", path=endpoint["path"])
    allowed = {
        f"{resource}:{verb}" for r in rules for resource in r["resources"] for verb in r["verbs"]
    }
    assert {f"nodes/{each}:{wanted.verb}" for each in wanted.subresources} <= allowed
    assert "nodes/proxy:get" not in allowed


def test_a_prometheus_without_the_operator_scrapes_the_same() -> None:
    """Its configuration and the ServiceMonitor agree, and it has every page of a kubelet, too."""
    [endpoint] = load("service-monitor.yaml")["spec"]["endpoints"]
    own, *kubelets = load("prometheus.yaml")["scrape_configs"]
    assert (own["scheme"], own["metrics_path"]) == (endpoint["scheme"], endpoint["path"])
    assert own["authorization"]["credentials_file"] == endpoint["bearerTokenFile"]
    assert own["tls_config"] == {"ca_file": endpoint["tlsConfig"]["caFile"]}
    [relabeling] = endpoint["relabelings"]
    assert {
        "source_labels": relabeling["sourceLabels"],
        "target_label": relabeling["targetLabel"],
    } in own["relabel_configs"]
    pages = {job["metrics_path"] for job in kubelets}
    assert pages == set(documented()) - {OWN_METRICS_PATH}
    for job in kubelets:
        assert job["tls_config"] == own["tls_config"]
        assert {"target_label": "job", "replacement": "kubelet"} in job["relabel_configs"]


@needs_kubectl
def test_one_literal_says_where_the_runbooks_are(tmp_path: Path) -> None:
    """Every runbook_url follows it, and the dashboard is in a ConfigMap that Grafana loads."""
    shutil.copytree(FOLDER, tmp_path / "monitoring")
    file = tmp_path / "monitoring/kustomization.yaml"
    file.write_text(
        file.read_text().replace("address=edgelet.invalid", "address=git.example/edgelet")
    )
    objects = {f"{item['kind']}/{item['metadata']['name']}": item for item in build(file.parent)}
    assert sorted(objects) == [
        "ClusterRole/edgelet-monitoring",
        "ClusterRoleBinding/edgelet-monitoring",
        "ConfigMap/edgelet-dashboard",
        "PrometheusRule/edgelet",
        "ServiceMonitor/edgelet-provider",
    ]
    assert objects["ConfigMap/edgelet-dashboard"]["metadata"]["labels"] == {
        "grafana_dashboard": "1"
    }
    for group in objects["PrometheusRule/edgelet"]["spec"]["groups"]:
        for rule in group["rules"]:
            url = rule["annotations"]["runbook_url"]
            assert url == f"https://git.example/edgelet/docs/runbooks/{rule['alert']}.md"
