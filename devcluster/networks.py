"""Network namespaces: a cloud, and per site a machine behind a NAT router of its own.

    host ─ veth ─ cloud: bridge 10.98.0.0/24 ─ veth ─ router (MASQUERADE) ─ veth ─ edge
    .1            .2 API server                       .101, .102, ...              192.168.77.2,
                  .11, .12, ... providers                                          on every site

The cloud knows its own /24 and nothing else: no route leads to an edge, and the router forwards no
new connection inwards. All iptables rules live inside the namespaces and go with them; the host's
are never touched.

Namespaces are bind mounts made by ``unshare --net=FILE``, not by ``ip netns add``, which would
leave ``/run/netns`` behind as a mount of its own.
"""

from __future__ import annotations

import enum
import errno
import subprocess
from pathlib import Path

from devcluster.layout import (
    EDGE_ADDRESS,
    EDGE_NETWORK_BITS,
    EDGE_ROUTER_ADDRESS,
    CloudNodeLayout,
    ClusterLayout,
    SiteLayout,
)
from devcluster.processes import in_netns, run

NETNS_FOLDER = Path("/run/netns")
CLOUD_NETWORK_BITS = 24
CUT_CHAIN = "EDGELET-CUT"
_SYSCTL = Path("/proc/sys/net")


class Cut(enum.Enum):
    """How a link is cut: both are silent, and differ in what the machine notices."""

    DOWN = "down"
    """The cable is pulled: the edge's interface loses its carrier."""
    DROP = "drop"
    """Packets vanish at the router, both ways."""


def free_network() -> str:
    """Return the first three parts of a /24 that the host has no address or route in.

    Raises:
        DevclusterError: The host's routes cannot be read.
    """
    taken = run(["ip", "-4", "-o", "route", "show"]) + run(["ip", "-4", "-o", "addr", "show"])
    # 10.98.0 to 10.98.254: more clusters than one machine runs.
    return next(f"10.98.{n}" for n in range(255) if f"10.98.{n}." not in taken)


def open_cloud(cluster: ClusterLayout) -> None:
    """Make the cloud's namespace and the host's way into it; what is there is kept."""
    cloud = cluster.cloud_netns
    if _add_netns(cloud):
        _ip(
            cloud,
            "link set lo up",
            "link add br0 type bridge",
            f"addr add {cluster.api_address}/{CLOUD_NETWORK_BITS} dev br0",
            "link set br0 up",
        )
        # A router among the servers would be a way towards the edges.
        _sysctl(cloud, "ipv4/ip_forward", "0")
    if not (Path("/sys/class/net") / cluster.host_link).exists():
        run(
            [
                "ip",
                "link",
                "add",
                cluster.host_link,
                "type",
                "veth",
                "peer",
                "host0",
                "netns",
                cloud,
            ]
        )
        run(
            [
                "ip",
                "addr",
                "add",
                f"{cluster.host_address}/{CLOUD_NETWORK_BITS}",
                "dev",
                cluster.host_link,
            ]
        )
        run(["ip", "link", "set", cluster.host_link, "up"])
        _ip(cloud, "link set host0 master br0 up")


def open_site(site: SiteLayout) -> None:
    """Make a site's namespaces and its NAT router; what is there is kept."""
    cloud, nat, edge = site.cluster.cloud_netns, site.nat_netns, site.edge_netns
    if (NETNS_FOLDER / nat).exists() and (NETNS_FOLDER / edge).exists():
        return
    close_netns(nat)
    close_netns(edge)
    _add_netns(nat)
    _add_netns(edge)
    port = f"site{site.index}"
    _ip(
        nat,
        "link set lo up",
        f"link add wan type veth peer name {port} netns {cloud}",
        f"link add lan type veth peer name eth0 netns {edge}",
        f"addr add {site.router_address}/{CLOUD_NETWORK_BITS} dev wan",
        f"addr add {EDGE_ROUTER_ADDRESS}/{EDGE_NETWORK_BITS} dev lan",
        "link set wan up",
        "link set lan up",
    )
    _ip(
        cloud,
        f"link set {port} master br0 up",
        f"addr replace {site.provider_address}/{CLOUD_NETWORK_BITS} dev br0",
    )
    _ip(
        edge,
        "link set lo up",
        f"addr add {EDGE_ADDRESS}/{EDGE_NETWORK_BITS} dev eth0",
        "link set eth0 up",
        f"route add default via {EDGE_ROUTER_ADDRESS}",
    )
    # Without IPv6 between router and edge there is no second way in that NAT does not cover.
    for netns, link in ((nat, "wan"), (nat, "lan"), (edge, "eth0")):
        _sysctl(netns, f"ipv6/conf/{link}/disable_ipv6", "1")
    _sysctl(nat, "ipv4/ip_forward", "1")
    run([*in_netns(nat), "iptables-restore"], stdin=_router_rules())


def open_cloud_node(node: CloudNodeLayout) -> None:
    """Make the namespace of the kubelet's machine, in the cloud's network; what is there is kept.

    Its pods reach the cloud through its masquerading bridge, and nothing beyond.
    """
    if not _add_netns(node.netns):
        return
    cloud = node.cluster.cloud_netns
    _ip(
        node.netns,
        "link set lo up",
        f"link add eth0 type veth peer name node0 netns {cloud}",
        f"addr add {node.address}/{CLOUD_NETWORK_BITS} dev eth0",
        "link set eth0 up",
        f"route add default via {node.cluster.api_address}",
    )
    _ip(cloud, "link set node0 master br0 up")
    _sysctl(node.netns, "ipv6/conf/eth0/disable_ipv6", "1")


def _router_rules() -> str:
    return f"""*nat
-A POSTROUTING -o wan -j MASQUERADE
COMMIT
*filter
:INPUT DROP
:FORWARD DROP
:OUTPUT ACCEPT
:{CUT_CHAIN} -
-A FORWARD -j {CUT_CHAIN}
-A FORWARD -i lan -o wan -j ACCEPT
-A FORWARD -i wan -o lan -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
-A INPUT -i lan -p icmp -j ACCEPT
-A OUTPUT -p icmp -m icmp --icmp-type network-unreachable -j DROP
-A OUTPUT -p icmp -m icmp --icmp-type host-unreachable -j DROP
COMMIT
"""


def cut_link(site: SiteLayout, how: Cut) -> None:
    """Cut the site off, silently: neither a reset nor an ICMP error tells either end."""
    if how is Cut.DOWN:
        _ip(site.nat_netns, "link set lan down")
    else:
        _iptables(site.nat_netns, "-F", CUT_CHAIN)
        _iptables(site.nat_netns, "-A", CUT_CHAIN, "-j", "DROP")


def heal_link(site: SiteLayout) -> None:
    """Undo either cut."""
    _ip(site.nat_netns, "link set lan up")
    _iptables(site.nat_netns, "-F", CUT_CHAIN)


def link_state(site: SiteLayout) -> str:
    """Return ``up``, ``cut (down)``, ``cut (drop)`` or ``absent``."""
    if not (NETNS_FOLDER / site.nat_netns).exists():
        return "absent"
    if "state UP" not in run(["ip", "-n", site.nat_netns, "-o", "link", "show", "lan"]):
        return "cut (down)"
    rules = run([*in_netns(site.nat_netns), "iptables", "-w", "5", "-S", CUT_CHAIN])
    return "cut (drop)" if "-j DROP" in rules else "up"


def close_netns(name: str) -> None:
    """Remove a namespace with all its interfaces and rules, once nothing runs in it any more."""
    path = NETNS_FOLDER / name
    if path.exists():
        # Of a file that was never mounted on (a crash between the two), only the unlink is left to
        # do.
        subprocess.run(["umount", "--lazy", path], capture_output=True, check=False)
        try:
            path.unlink()
        except OSError as exc:
            if exc.errno != errno.EBUSY:
                raise
            _unlink_covered(path)


def _unlink_covered(path: Path) -> None:
    """Remove a namespace's file that is mounted on twice.

    Whoever runs ``ip netns add`` while we are up mounts the folder onto itself, and the mounts
    below are then covered: no path leads to them. A private mount namespace can uncover its own
    copies, and to unlink the file there detaches what is mounted on it in every other
    (mount_namespaces(7)).
    """
    uncover = 'while umount --lazy "$0"; do :; done; while umount --lazy "$1"; do :; done; rm "$1"'
    private = ["unshare", "--mount", "--propagation", "private"]
    run([*private, "sh", "-c", f"{{ {uncover}; }} 2>/dev/null", str(NETNS_FOLDER), path])


def close_host_link(cluster: ClusterLayout) -> None:
    """Remove the host's veth; the kernel removes it with the cloud's namespace, but later."""
    if (Path("/sys/class/net") / cluster.host_link).exists():
        run(["ip", "link", "del", cluster.host_link])


def processes_in_netns(name: str) -> list[int]:
    """Return the pids of all processes in a namespace."""
    path = NETNS_FOLDER / name
    if not path.exists():
        return []
    inode = path.stat().st_ino
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "ns/net").stat().st_ino == inode:
                    found.append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it ended while we looked, or it is the kernel's
    return found


def _add_netns(name: str) -> bool:
    path = NETNS_FOLDER / name
    if path.exists():
        return False
    NETNS_FOLDER.mkdir(mode=0o755, exist_ok=True)
    path.touch(mode=0o444)
    run(["unshare", f"--net={path}", "true"])
    return True


def _ip(netns: str, *commands: str) -> None:
    run(["ip", "-n", netns, "-batch", "-"], stdin="\n".join(commands) + "\n")


def _iptables(netns: str, *arguments: str) -> None:
    run([*in_netns(netns), "iptables", "-w", "5", *arguments])


def _sysctl(netns: str, key: str, value: str) -> None:
    # /proc/sys/net shows the namespace of the process that looks.
    run([*in_netns(netns), "tee", str(_SYSCTL / key)], stdin=value)
