"""A pod's /etc/hosts, byte by byte as a kubelet writes it."""

from __future__ import annotations

import pytest

from edge_runtime.pod_network.hosts_file import host_network_hosts_file, managed_hosts_file
from edge_runtime.pod_network.pod_hostname import PodHostname

LOCAL = """\
# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
ALIASES = [
    {"ip": "123.45.67.89", "hostnames": ["foo", "bar", "baz"]},
    {"ip": "::9", "hostnames": ["six"]},
]
ALIAS_LINES = """
# Entries added by HostAliases.
123.45.67.89\tfoo\tbar\tbaz
::9\tsix
"""


@pytest.mark.parametrize(
    ("ips", "hostname", "expected"),
    [
        (("203.0.113.1",), PodHostname(name="podFoo"), "203.0.113.1\tpodFoo\n"),
        (
            ("203.0.113.1", "fd00::6"),
            PodHostname(name="podFoo", domain="domainFoo"),
            "203.0.113.1\tpodFoo.domainFoo\tpodFoo\nfd00::6\tpodFoo.domainFoo\tpodFoo\n",
        ),
    ],
)
def test_managed_file(ips: tuple[str, ...], hostname: PodHostname, expected: str) -> None:
    """One line for each address; aliases at the end."""
    assert managed_hosts_file(ips, hostname, ()) == LOCAL + expected
    assert managed_hosts_file(ips, hostname, ALIASES) == LOCAL + expected + ALIAS_LINES


def test_file_with_the_machines_network() -> None:
    """The machine's own, and the aliases."""
    header = "# Kubernetes-managed hosts file (host network).\n"
    own = "127.0.0.1 machine\n"
    assert host_network_hosts_file(own, ()) == header + own
    assert host_network_hosts_file(own, ALIASES) == header + own + ALIAS_LINES
