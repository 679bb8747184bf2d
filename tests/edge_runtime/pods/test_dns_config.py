"""resolv.conf by DNS policy."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.runtime_config import DnsConfig
from edge_runtime.pods.dns_config import compute_dns_config, parse_resolv_conf

HOST = DnsConfig(servers=("9.9.9.9",), searches=("example.com",), options=("edns0",))
CLUSTER = DnsConfig(
    servers=("10.96.0.10",),
    searches=("ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.com"),
    options=("ndots:5",),
)


def _compute(spec: dict[str, Any], cluster_dns: tuple[str, ...] = ("10.96.0.10",)) -> DnsConfig:
    pod = Pod({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": spec})
    return compute_dns_config(
        pod, host=HOST, cluster_dns=cluster_dns, cluster_domain="cluster.local"
    )


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, CLUSTER),
        ({"dnsPolicy": "ClusterFirst"}, CLUSTER),
        ({"dnsPolicy": "ClusterFirst", "hostNetwork": True}, HOST),
        ({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": True}, CLUSTER),
        ({"dnsPolicy": "Default"}, HOST),
        ({"dnsPolicy": "None"}, DnsConfig()),
    ],
)
def test_policy_chooses_the_base(spec: dict[str, Any], expected: DnsConfig) -> None:
    """As the kubelet does."""
    assert _compute(spec) == expected


def test_cluster_first_without_cluster_dns_is_the_machines_own() -> None:
    """A site without a reachable cluster DNS still resolves."""
    assert _compute({}, cluster_dns=()) == HOST


def test_own_config_is_merged() -> None:
    """Servers and searches add up once each, options override."""
    config = _compute(
        {
            "dnsConfig": {
                "nameservers": ["1.1.1.1", "10.96.0.10"],
                "searches": ["cluster.local", "own"],
                "options": [{"name": "ndots", "value": "2"}, {"name": "debug"}],
            }
        }
    )
    assert config.servers == ("10.96.0.10", "1.1.1.1")
    assert config.searches == (*CLUSTER.searches, "own")
    assert config.options == ("ndots:2", "debug")


def test_what_resolvers_do_not_take_is_cut() -> None:
    """Three servers, 32 searches, 2048 characters, no name longer than a DNS name."""
    long = [f"{'x' * 100}{index}" for index in range(40)]
    own = {"nameservers": [f"1.1.1.{index}" for index in range(9)], "searches": ["y" * 300, *long]}
    config = _compute({"dnsPolicy": "None", "dnsConfig": own})
    assert len(config.servers) == 3
    assert len(" ".join(config.searches)) <= 2048
    assert "y" * 300 not in config.searches


def test_resolv_conf_is_parsed() -> None:
    """Comments, repeated lines, trailing dots."""
    text = (
        "# made by hand\nnameserver 1.1.1.1\nnameserver\nsearch old\nsearch a. . b\n"
        "options ndots:1 edns0\noptions ndots:3\n\nnameserver ::1\n"
    )
    assert parse_resolv_conf(text) == DnsConfig(
        servers=("1.1.1.1", "::1"), searches=("a", "b"), options=("ndots:3", "edns0")
    )
