"""Must show 6: the cloud cannot dial the edge."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import json
import re
import socket
import subprocess
from typing import TYPE_CHECKING

from devcluster.netns import inside, netns_path
from tests.e2e.pods import IDLE, container, pod

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

DIAL_TIMEOUT_S = 1.0
USUAL_PORTS = (22, 80, 443, 8080, 10250, 10443)


def edge_addresses(cluster: Cluster) -> set[str]:
    """Return every address of the edge's namespace but loopback, pod bridges included."""
    done = subprocess.run(
        ["nsenter", f"--net={netns_path(cluster.edge_netns)}", "ip", "-j", "address"],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    found = {a["local"] for link in json.loads(done.stdout) for a in link.get("addr_info", [])}
    return {a for a in found if not ipaddress.ip_address(a).is_loopback}


def listeners(cluster: Cluster) -> list[tuple[str, int]]:
    """Return address and port of every TCP listener in the edge's namespace."""
    done = subprocess.run(
        ["nsenter", f"--net={netns_path(cluster.edge_netns)}", "ss", "-H", "-ltn"],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    found: list[tuple[str, int]] = []
    for line in done.stdout.splitlines():
        address, _, port = line.split()[3].rpartition(":")
        found.append((re.sub(r"[\[\]]|%.*", "", address), int(port)))
    return found


def dial(address: str, port: int) -> str:
    """Return "open", or the error that the attempt ended with."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as attempt:
        attempt.settimeout(DIAL_TIMEOUT_S)
        try:
            attempt.connect((address, port))
        except OSError as error:
            return str(error)
    return "open"


def dial_each(address: str, ports: list[int]) -> dict[int, str]:
    """Dial each port of an address."""
    return {port: dial(address, port) for port in ports}


@contextlib.contextmanager
def listening(netns: str, address: str) -> Iterator[int]:
    """Listen on any port of an address in a namespace; the kernel completes the handshakes."""

    def listen() -> socket.socket:
        server = socket.socket()
        server.bind((address, 0))
        server.listen(8)
        return server

    with inside(netns, listen) as server:
        yield int(server.getsockname()[1])


def test_the_edge_listens_on_loopback_only(cluster: Cluster) -> None:
    """Containerd's streaming server is there, and nothing listens on any other address."""
    found = listeners(cluster)
    assert found, "containerd's streaming server listens on loopback"
    open_to_others = [pair for pair in found if not ipaddress.ip_address(pair[0]).is_loopback]
    assert open_to_others == []


def test_no_connection_from_the_cloud_to_the_edge(cluster: Cluster) -> None:
    """Neither to a port that listens on all of the edge's addresses nor to any usual one."""
    addresses = edge_addresses(cluster)
    assert addresses
    with listening(cluster.edge_netns, "0.0.0.0") as port:  # noqa: S104  # that is the point
        for address in addresses:
            ports = [port, *USUAL_PORTS, *(number for _, number in listeners(cluster))]
            if ":" not in address:
                own = inside(cluster.edge_netns, functools.partial(dial, address, port))
                assert own == "open", f"the control on {address}: {own}"
            dial_all = functools.partial(dial_each, address, ports)
            results = inside(cluster.cloud_netns, dial_all)
            assert "open" not in results.values(), f"{address}: {results}"


def test_no_connection_through_the_router_of_the_site(cluster: Cluster) -> None:
    """The address that the edge dials out from forwards nothing inwards."""
    with listening(cluster.cloud_netns, "0.0.0.0") as port:  # noqa: S104  # inside the namespace
        target = _cloud_address(cluster)

        def dial_out() -> socket.socket:
            return socket.create_connection((target, port), timeout=5)

        with inside(cluster.edge_netns, dial_out) as outgoing:
            # What the cloud sees as the peer is the router; ss knows it as the established peer.
            assert outgoing.getpeername() == (target, port)
            router = _peer_of(cluster, port)
        dial_all = functools.partial(dial_each, router, [port, *USUAL_PORTS])
        results = inside(cluster.cloud_netns, dial_all)
    assert "open" not in results.values(), f"{router}: {results}"


def test_no_connection_from_the_cloud_to_a_pod(cluster: Cluster, kubectl: Kubectl) -> None:
    """A server in a pod answers on the edge itself, and not to the cloud."""
    script = "mkdir -p /www && echo hi > /www/index.html && httpd -p 8080 -h /www; " + IDLE
    kubectl.apply(pod("server", container(script=script), site=cluster.site))
    kubectl.wait("condition=Ready", "pod/server")
    address = kubectl.json("get", "pod", "server")["status"]["podIP"]
    assert inside(cluster.edge_netns, lambda: dial(address, 8080)) == "open"
    assert inside(cluster.cloud_netns, lambda: dial(address, 8080)) != "open"


def _cloud_address(cluster: Cluster) -> str:
    """Return the address that the Node publishes: the provider's, in the cloud."""
    addresses = cluster.node()["status"]["addresses"]
    return str(addresses[0]["address"])


def _peer_of(cluster: Cluster, port: int) -> str:
    done = subprocess.run(
        ["nsenter", f"--net={netns_path(cluster.cloud_netns)}", "ss", "-Htn", f"sport = :{port}"],
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return done.stdout.split()[4].rpartition(":")[0].removeprefix("[::ffff:").rstrip("]")
