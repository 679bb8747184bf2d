"""Certificates of a cluster and its sites."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from devcluster.cluster_pki import ensure_cluster_pki, ensure_site_pki
from devcluster.layout import ClusterLayout
from tunnel.identity import SiteName, site_of_subject

if TYPE_CHECKING:
    from pathlib import Path


def test_site_certificates_are_what_each_end_checks(tmp_path: Path) -> None:
    """The edge is known by its subject, the provider by its DNS name and its address."""
    cluster = ClusterLayout(root=tmp_path, network="10.98.0")
    site = cluster.site(SiteName("site-a"), index=1)
    cluster_pki = ensure_cluster_pki(cluster)
    site_pki = ensure_site_pki(site, cluster_pki.authority)

    edge = site_pki.edge.certificate()
    edge.verify_directly_issued_by(site_pki.authority.certificate())
    subject = {"commonName": ["system:node:site-a"], "organizationName": ["system:nodes"]}
    assert site_of_subject(subject) == "site-a"
    assert edge.subject.rfc4514_string() == "CN=system:node:site-a,O=system:nodes"

    names = _alternative_names(site_pki.provider.certificate())
    assert names.get_values_for_type(x509.DNSName) == ["provider.site-a.edgelet.internal"]

    serving = site_pki.kubelet_serving.certificate()
    serving.verify_directly_issued_by(cluster_pki.authority.certificate())
    addresses = _alternative_names(serving).get_values_for_type(x509.IPAddress)
    assert [str(a) for a in addresses] == ["10.98.0.11"]


def test_api_server_shows_kubelets_a_name_without_a_group(tmp_path: Path) -> None:
    """Its rights over nodes come from a binding, not from being a master."""
    cluster_pki = ensure_cluster_pki(ClusterLayout(root=tmp_path, network="10.98.0"))
    subject = cluster_pki.kubelet_client.certificate().subject.rfc4514_string()
    assert subject == "CN=kube-apiserver-kubelet-client"


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
