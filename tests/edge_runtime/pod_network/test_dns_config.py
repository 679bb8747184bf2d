"""resolv.conf by DNS policy."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.runtime_config import DnsConfig
from edge_runtime.pod_network.dns_config import (
    DnsWarning,
    PodDns,
    compute_dns_config,
    parse_resolv_conf,
)

HOST = DnsConfig(servers=("9.9.9.9",), searches=("example.com",), options=("edns0",))
CLUSTER = DnsConfig(
    servers=("10.96.0.10",),
    searches=("ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.com"),
    options=("ndots:5",),
)


def _compute(spec: dict[str, Any], cluster_dns: tuple[str, ...] = ("10.96.0.10",)) -> DnsConfig:
    return _dns(spec, cluster_dns).config


def _dns(spec: dict[str, Any], cluster_dns: tuple[str, ...] = ("10.96.0.10",)) -> PodDns:
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
    """A site without a reachable cluster DNS still resolves, and the pod is told."""
    dns = _dns({}, cluster_dns=())
    assert dns.config == HOST
    message = (
        'pod: "p_ns(u)". kubelet does not have ClusterDNS IP configured and cannot create Pod'
        ' using "ClusterFirst" policy. Falling back to "Default" policy.'
    )
    assert dns.warnings == (DnsWarning(reason="MissingClusterDNS", message=message),)
    assert _dns({"dnsPolicy": "Default"}, cluster_dns=()).warnings == ()


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


def test_what_was_cut_is_told() -> None:
    """In the kubelet's words, with what is applied."""
    own = {"nameservers": ["1", "2", "3", "4"], "searches": ["a", "y" * 254]}
    assert _dns({"dnsPolicy": "None", "dnsConfig": own}).warnings == (
        DnsWarning(
            reason="DNSConfigForming",
            message=(
                "Nameserver limits were exceeded, some nameservers have been omitted,"
                " the applied nameserver line is: 1 2 3"
            ),
        ),
        DnsWarning(
            reason="DNSConfigForming",
            message=(
                "Search Line limits were exceeded, some search paths have been omitted,"
                " the applied search line is: a"
            ),
        ),
    )
    assert _dns({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1"]}}).warnings == ()


def test_cluster_searches_come_once() -> None:
    """The machine's own may repeat them."""
    pod = Pod({"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {}})
    host = DnsConfig(searches=("cluster.local", "own"))
    dns = compute_dns_config(pod, host=host, cluster_dns=("1",), cluster_domain="cluster.local")
    searches = ("ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "own")
    assert dns.config.searches == searches


def test_resolv_conf_is_parsed() -> None:
    """Comments, repeated lines, trailing dots."""
    text = (
        "# made by hand\nnameserver 1.1.1.1\nnameserver\nsearch old\nsearch a. . b\n"
        "options ndots:1 edns0\noptions ndots:3\n\nnameserver ::1\n"
    )
    assert parse_resolv_conf(text) == DnsConfig(
        servers=("1.1.1.1", "::1"), searches=("a", "b"), options=("ndots:3", "edns0")
    )
