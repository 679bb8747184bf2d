"""Network namespaces for real: made, used, cut, healed, and gone without a trace. Needs root."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devcluster import networks, processes, requirements
from devcluster.layout import EDGE_ADDRESS, ClusterLayout, SiteLayout
from tunnel.identity import SiteName

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    not requirements.has_capability(requirements.CAP_SYS_ADMIN)
    or not requirements.has_capability(requirements.CAP_NET_ADMIN),
    reason="needs root's rights over namespaces",
)


def traces(prefix: str) -> dict[str, str]:
    """Return what the host shows of a cluster's namespaces, and its own rules and routes."""
    listed = {
        "ip netns": processes.run(["ip", "netns"]),
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "links": processes.run(["ip", "-o", "link"]),
        "routes": processes.run(["ip", "route"]),
    }
    found = {
        name: "\n".join(line for line in text.splitlines() if prefix in line)
        for name, text in listed.items()
    }
    return found | {"iptables": processes.run(["iptables-save"], check=False)}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[ClusterLayout]:
    """The layout of a cluster whose networks are removed at the end."""
    layout = ClusterLayout(root=tmp_path / "c", network=networks.free_network())
    yield layout
    for name in (layout.cloud_netns, *(p.name for p in _namespaces(layout))):
        networks.close_netns(name)
    networks.close_host_link(layout)


def _namespaces(layout: ClusterLayout) -> list[Path]:
    return list(networks.NETNS_FOLDER.glob(f"{layout.prefix}-*"))


def _connects(netns: str, address: str, port: int) -> bool:
    script = f"import socket; socket.create_connection(('{address}', {port}), timeout=0.5)"
    command = [*processes.in_netns(netns), sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[type[Listener]]:
    """Starts listeners in namespaces and ends them."""
    Listener.log = tmp_path / "listener.log"
    yield Listener
    processes.end_together(Listener.pids)
    Listener.pids.clear()


class Listener:
    """A process that accepts TCP connections in a namespace."""

    log: Path
    pids: list[int] = []  # noqa: RUF012 - emptied by the fixture

    def __init__(self, netns: str, port: int) -> None:
        """Start it and wait until it listens."""
        script = (
            f"import socket; s = socket.create_server(('', {port}))\n"
            "print('listening', flush=True)\nwhile True: s.accept()"
        )
        argv = [*processes.in_netns(netns), sys.executable, "-c", script]
        process = processes.start(argv, log=self.log, environment={}, cwd=Path("/"))
        self.pids.append(process.pid)
        processes.wait_until(
            lambda: self.log.read_text().count("listening") == len(self.pids),
            what="listener",
            timeout_s=10,
            process=process,
        )


def test_edge_reaches_the_cloud_and_never_the_other_way(
    cluster: ClusterLayout, listener: type[Listener]
) -> None:
    """Sites with equal addresses reach the cloud; cuts stop them silently; all goes at the end."""
    before = traces(cluster.prefix) | {"links": "", "routes": ""}
    networks.open_cloud(cluster)
    sites = [cluster.site(SiteName(name), index=i) for i, name in enumerate("ab", start=1)]
    for site in sites:
        networks.open_site(site)
        networks.open_site(site)  # a second time changes nothing

    listener(cluster.cloud_netns, 7000)
    for site in sites:
        listener(site.edge_netns, 7001)
        assert _connects(site.edge_netns, cluster.api_address, 7000)
        assert _connects(site.edge_netns, EDGE_ADDRESS, 7001)
        assert not _connects(cluster.cloud_netns, EDGE_ADDRESS, 7001)
        assert not _connects(cluster.cloud_netns, site.router_address, 7001)
        _assert_cut_and_healed(site, cluster)
    # Even with a route, which the cloud does not have, the router lets nothing in.
    route = ["ip", "-n", cluster.cloud_netns, "route", "add", f"{EDGE_ADDRESS}/32"]
    processes.run([*route, "via", sites[0].router_address])
    assert not _connects(cluster.cloud_netns, EDGE_ADDRESS, 7001)

    inside = [pid for s in sites for pid in networks.processes_in_netns(s.edge_netns)]
    assert set(inside) < set(listener.pids)
    processes.end_together(listener.pids)
    for path in _namespaces(cluster):
        networks.close_netns(path.name)
    networks.close_host_link(cluster)
    assert traces(cluster.prefix) == before | {"links": "", "routes": ""}
    assert not Path(f"/sys/class/net/{cluster.host_link}").exists()


def _assert_cut_and_healed(site: SiteLayout, cluster: ClusterLayout) -> None:
    for how in networks.Cut:
        networks.cut_link(site, how)
        networks.cut_link(site, how)
        assert networks.link_state(site) == f"cut ({how.value})"
        assert not _connects(site.edge_netns, cluster.api_address, 7000)
        networks.heal_link(site)
        assert networks.link_state(site) == "up"
        assert _connects(site.edge_netns, cluster.api_address, 7000)


def test_cloud_is_reached_from_the_host(cluster: ClusterLayout, listener: type[Listener]) -> None:
    """The ordinary shell has a way to the API server's address."""
    networks.open_cloud(cluster)
    networks.open_cloud(cluster)
    listener(cluster.cloud_netns, 7000)
    script = f"import socket; socket.create_connection(('{cluster.api_address}', 7000), timeout=2)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_next_cluster_gets_another_network(cluster: ClusterLayout) -> None:
    """Two clusters on one machine do not share a range."""
    networks.open_cloud(cluster)
    assert networks.free_network() != cluster.network


def test_a_namespace_goes_although_its_folder_was_mounted_onto_itself() -> None:
    """`ip netns add` does that to the folder; here in a mount namespace of our own."""
    name = "edgelet-covered-test"
    script = (
        "import subprocess; from devcluster import networks as n; "
        f"assert n._add_netns({name!r}); "
        "subprocess.run(['mount', '--rbind', n.NETNS_FOLDER, n.NETNS_FOLDER], check=True); "
        f"n.close_netns({name!r})"
    )
    private = ["unshare", "--mount", "--propagation", "private", "--"]
    processes.run([*private, sys.executable, "-c", script])
    assert not (networks.NETNS_FOLDER / name).exists()
