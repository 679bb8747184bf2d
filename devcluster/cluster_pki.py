"""Which keys and certificates a cluster has; a site's are made by its provider and its edge."""

from __future__ import annotations

from dataclasses import dataclass

from devcluster.layout import CLOUD_NODE, KUBERNETES_SERVICE_ADDRESS, ClusterLayout
from devcluster.pki import (
    KeyPair,
    Subject,
    ensure_authority,
    ensure_certificate,
    ensure_key,
    key_pair,
)
from tunnel.identity import NODE_GROUP

API_SERVER_CLIENT_NAME = "kube-apiserver-kubelet-client"
FRONT_PROXY_NAME = "front-proxy-client"
_API_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)
# Names of clients -> (common name, group).
_CLIENTS = {
    "admin": ("kubernetes-admin", "system:masters"),
    "kube-controller-manager": ("system:kube-controller-manager", ""),
    "kube-scheduler": ("system:kube-scheduler", ""),
    "kubelet": (f"system:node:{CLOUD_NODE}", NODE_GROUP),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPKI:
    """The cluster's certificates.

    Attributes:
        authority: Signs all of the cluster's certificates, and verifies the API server's clients.
        api_server: Served by the API server.
        kubelet_client: Shown by the API server to kubelets.
        front_proxy_authority: Verifies the API server where it forwards to aggregated APIs.
        front_proxy: Shown by the API server to those.
        service_accounts: Signs service account tokens; a key without certificate.
        clients: Certificates of the administrator and the servers, by name.
    """

    authority: KeyPair
    api_server: KeyPair
    kubelet_client: KeyPair
    front_proxy_authority: KeyPair
    front_proxy: KeyPair
    service_accounts: KeyPair
    clients: dict[str, KeyPair]


def ensure_cluster_pki(cluster: ClusterLayout) -> ClusterPKI:
    """Make what is missing of the cluster's certificates."""
    folder = cluster.pki
    authority = ensure_authority(key_pair(folder, "ca"), "edgelet-devcluster")
    service_accounts = key_pair(folder, "service-accounts")
    ensure_key(service_accounts.key_file)
    front_proxy_authority = ensure_authority(key_pair(folder, "front-proxy-ca"), "front-proxy-ca")
    return ClusterPKI(
        authority=authority,
        front_proxy_authority=front_proxy_authority,
        front_proxy=ensure_certificate(
            key_pair(folder, FRONT_PROXY_NAME),
            Subject(common_name=FRONT_PROXY_NAME, client=True),
            issuer=front_proxy_authority,
        ),
        service_accounts=service_accounts,
        api_server=ensure_certificate(
            key_pair(folder, "kube-apiserver"),
            Subject(
                common_name="kube-apiserver",
                dns_names=_API_NAMES,
                addresses=(cluster.api_address, KUBERNETES_SERVICE_ADDRESS, "127.0.0.1"),
                server=True,
            ),
            issuer=authority,
        ),
        kubelet_client=ensure_certificate(
            key_pair(folder, API_SERVER_CLIENT_NAME),
            # No group: what it may do with nodes is granted by name (api_server_role_binding).
            Subject(common_name=API_SERVER_CLIENT_NAME, client=True),
            issuer=authority,
        ),
        clients={
            name: ensure_certificate(
                key_pair(folder, name),
                Subject(common_name=common_name, organization=group, client=True),
                issuer=authority,
            )
            for name, (common_name, group) in _CLIENTS.items()
        },
    )
