"""Names and addresses of clusters and sites."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from devcluster.layout import MAX_SITES, ClusterLayout, default_root
from tunnel.identity import SiteName, parse_site_name

if TYPE_CHECKING:
    import pytest


def layout(root: str = "/src/edgelet/.devcluster") -> ClusterLayout:
    """Return the layout of a cluster in a folder."""
    return ClusterLayout(root=Path(root), network="10.98.3")


def test_clusters_of_two_folders_share_no_name_outside_of_them() -> None:
    """Every name outside of the folder carries the folder's hash."""
    one, other = layout("/a"), layout("/b")
    site, other_site = one.site(SiteName("x"), index=1), other.site(SiteName("x"), index=1)
    pairs = [
        (one.cloud_netns, other.cloud_netns),
        (one.host_link, other.host_link),
        (one.run, other.run),
        (site.edge_netns, other_site.edge_netns),
        (site.nat_netns, other_site.nat_netns),
        (site.cgroup_root, other_site.cgroup_root),
    ]
    assert all(a != b for a, b in pairs)


def test_interface_name_fits_the_kernel() -> None:
    """An interface name has at most 15 characters."""
    assert len(layout().host_link) <= 15


def test_addresses_of_sites_never_meet() -> None:
    """Providers and routers of all sites have addresses of their own in the cloud's /24."""
    cluster = layout()
    sites = [cluster.site(SiteName(f"s{i}"), index=i) for i in range(1, MAX_SITES + 1)]
    addresses = [a for s in sites for a in (s.provider_address, s.router_address)]
    addresses += [cluster.host_address, cluster.api_address]
    assert len(set(addresses)) == len(addresses)
    assert all(1 <= int(a.rsplit(".", 1)[1]) <= 254 for a in addresses)
    assert len({s.pod_network for s in sites}) == MAX_SITES


def test_sockets_of_the_longest_name_fit() -> None:
    """The longest socket path, containerd's with the suffix it adds, has at most 107 bytes."""
    cluster = layout("/a/very/long/folder" * 10)
    site = cluster.site(parse_site_name("s" * 63), index=1)
    assert len(f"{site.containerd_socket}.ttrpc") <= 107


def test_folder_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """DEVCLUSTER_DIR wins; an empty one means the default."""
    monkeypatch.setenv("DEVCLUSTER_DIR", "/tmp/elsewhere")
    assert default_root() == Path("/tmp/elsewhere")
    monkeypatch.setenv("DEVCLUSTER_DIR", "")
    assert default_root().name == ".devcluster"
