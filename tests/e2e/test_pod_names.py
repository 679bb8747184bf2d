"""Must show 2: what a pod calls itself, and what its network files say."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.pods import container, pod
from tests.e2e.told import becomes, containers, status, tells

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
ALIASES = [
    {"ip": "10.1.2.3", "hostnames": ["foo.local", "bar.local"]},
    {"ip": "fd00::3", "hostnames": ["six.local"]},
]
ALIAS_LINES = (
    "\n# Entries added by HostAliases.\n10.1.2.3\tfoo.local\tbar.local\nfd00::3\tsix.local\n"
)
LOCAL_LINES = """# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
DNS = {
    "nameservers": ["192.0.2.53"],
    "searches": ["one.example.com", "example.com"],
    "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
}
LONG = "a" * 63


@pytest.fixture(scope="module", autouse=True)
def applied(cluster: Cluster, kubectl: Kubectl) -> None:
    """All pods, made in one call."""
    site = cluster.site
    crashing = container(script="echo '192.0.2.1 mine' >> /etc/hosts; sleep 1; exit 1")
    kubectl.apply(
        pod("plain", site=site),
        pod("named", site=site, hostname="web-0", subdomain="web", hostAliases=ALIASES),
        pod("full", site=site, hostname="web-1", subdomain="web", setHostnameAsFQDN=True),
        pod("too-long", site=site, hostname=LONG, subdomain="web", setHostnameAsFQDN=True),
        pod("machines", site=site, hostNetwork=True, hostAliases=ALIASES),
        pod("crashing", crashing, container("other"), site=site),
        pod("own-dns", site=site, dnsPolicy="None", dnsConfig=DNS),
        pod("machines-dns", site=site, dnsPolicy="Default"),
        pod("added-dns", site=site, dnsPolicy="Default", dnsConfig=DNS),
    )


def hosts(kubectl: Kubectl, name: str, *, of: str = "main") -> str:
    """Return a container's /etc/hosts."""
    return within(kubectl, name, "cat", "/etc/hosts", of=of)


def within(kubectl: Kubectl, name: str, *command: str, of: str = "main") -> str:
    """Return what a command prints in a pod that is ready."""
    kubectl.wait("condition=PodReadyToStartContainers", f"pod/{name}")
    becomes(kubectl, name, lambda told: "running" in containers(told)[of]["state"])
    return kubectl.ok("exec", name, "-c", of, "--", *command)


def test_a_pod_is_called_by_its_name(kubectl: Kubectl) -> None:
    """And its hosts file leads from there to its own address."""
    assert within(kubectl, "plain", "hostname") == "plain\n"
    address = status(kubectl, "plain")["podIP"]
    assert hosts(kubectl, "plain") == f"{LOCAL_LINES}{address}\tplain\n"


def test_hostname_subdomain_and_aliases_stand_in_the_hosts_file(kubectl: Kubectl) -> None:
    """In a kubelet's order; the kernel knows the short name."""
    assert within(kubectl, "named", "hostname") == "web-0\n"
    address = status(kubectl, "named")["podIP"]
    full = f"web-0.web.{kubectl.namespace}.svc.cluster.local"
    assert hosts(kubectl, "named") == f"{LOCAL_LINES}{address}\t{full}\tweb-0\n{ALIAS_LINES}"
    assert within(kubectl, "named", "hostname", "-f") == f"{full}\n"


def test_the_kernel_may_know_the_whole_name(kubectl: Kubectl) -> None:
    """With setHostnameAsFQDN."""
    full = f"web-1.web.{kubectl.namespace}.svc.cluster.local"
    assert within(kubectl, "full", "hostname") == f"{full}\n"


def test_a_name_that_is_too_long_for_the_kernel_is_told(kubectl: Kubectl) -> None:
    """The pod does not start, and an event says how long it is."""
    full = f"{LONG}.web.{kubectl.namespace}.svc.cluster.local"
    message = tells(kubectl, "too-long", "FailedCreatePodSandBox")
    assert f"FQDN {full} is too long (64 characters is the max" in message
    assert f"{len(full)} characters requested)" in message
    assert status(kubectl, "too-long")["phase"] == "Pending"


def test_with_the_machines_network_the_hosts_file_is_the_machines(kubectl: Kubectl) -> None:
    """With the pod's aliases behind it; the name is the machine's too."""
    assert within(kubectl, "machines", "hostname") == f"{socket.gethostname()}\n"
    machines = Path("/etc/hosts").read_text()
    expected = f"# Kubernetes-managed hosts file (host network).\n{machines}{ALIAS_LINES}"
    assert hosts(kubectl, "machines") == expected


def test_a_start_makes_the_hosts_file_anew(kubectl: Kubectl) -> None:
    """What a container wrote into it is gone after a restart: for all containers of the pod."""
    becomes(kubectl, "crashing", lambda told: containers(told)["main"]["restartCount"] >= 1)
    assert hosts(kubectl, "crashing", of="other").count("192.0.2.1 mine") <= 1


def test_name_servers_of_the_pods_own(kubectl: Kubectl) -> None:
    """With dnsPolicy None nothing else stands in resolv.conf."""
    assert within(kubectl, "own-dns", "cat", "/etc/resolv.conf").splitlines() == [
        "search one.example.com example.com",
        "nameserver 192.0.2.53",
        "options ndots:2 edns0",
    ]


def test_name_servers_of_the_machine(kubectl: Kubectl) -> None:
    """With dnsPolicy Default, and the pod's own behind them."""
    machines = name_servers(Path("/etc/resolv.conf").read_text())
    found = within(kubectl, "machines-dns", "cat", "/etc/resolv.conf")
    assert name_servers(found) == machines[:3]
    found = within(kubectl, "added-dns", "cat", "/etc/resolv.conf")
    assert name_servers(found) == [*machines, "192.0.2.53"][:3]
    assert "one.example.com example.com" in found


def name_servers(text: str) -> list[str]:
    """Return the addresses in a resolv.conf."""
    lines = (line.split() for line in text.splitlines())
    return [words[1] for words in lines if words[:1] == ["nameserver"]]
