"""Certificates of a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devcluster.cluster_pki import ensure_cluster_pki
from devcluster.layout import ClusterLayout

if TYPE_CHECKING:
    from pathlib import Path


def test_api_server_shows_kubelets_a_name_without_a_group(tmp_path: Path) -> None:
    """Its rights over nodes come from a binding, not from being a master."""
    cluster_pki = ensure_cluster_pki(ClusterLayout(root=tmp_path, network="10.98.0"))
    subject = cluster_pki.kubelet_client.certificate().subject.rfc4514_string()
    assert subject == "CN=kube-apiserver-kubelet-client"
