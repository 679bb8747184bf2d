"""Command lines of the control plane."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from devcluster import servers
from devcluster.cluster_pki import ensure_cluster_pki
from devcluster.layout import ClusterLayout
from devcluster.processes import identify

if TYPE_CHECKING:
    from pathlib import Path


def test_api_server_checks_nodes_and_names_itself_to_them(tmp_path: Path) -> None:
    """Node authorization, NodeRestriction and certificates both ways."""
    cluster = ClusterLayout(root=tmp_path, network="10.98.0")
    line = servers.kube_apiserver(cluster, ensure_cluster_pki(cluster), kubelet=False)
    assert line[:2] == ["nsenter", f"--net=/run/netns/{cluster.cloud_netns}"]
    assert "--authorization-mode=Node,RBAC" in line
    assert "--enable-admission-plugins=NodeRestriction" in line
    assert f"--kubelet-certificate-authority={tmp_path}/pki/ca.crt" in line
    assert "--bind-address=10.98.0.2" in line
    assert "--allow-privileged=true" in line
    assert not [flag for flag in line if flag.startswith("--kubelet-preferred-address-types")]


def test_servers_without_clients_serve_loopback(tmp_path: Path) -> None:
    """An edge must not reach etcd, which asks no one who they are."""
    cluster = ClusterLayout(root=tmp_path, network="10.98.0")
    assert "--listen-client-urls=http://127.0.0.1:2379" in servers.etcd(cluster)
    pki = ensure_cluster_pki(cluster)
    assert "--bind-address=127.0.0.1" in servers.kube_controller_manager(cluster, pki)
    assert "--bind-address=127.0.0.1" in servers.kube_scheduler(cluster)


def test_listeners_of_a_namespace_are_seen() -> None:
    """A socket that listens is found; one that is only bound is not."""
    process = identify(os.getpid())
    assert process is not None
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port = opened.getsockname()[1]
        assert not servers.listens(process, port)
        opened.listen()
        assert servers.listens(process, port)
        assert ("0100007F", port) in list(servers.listeners(process.pid))
