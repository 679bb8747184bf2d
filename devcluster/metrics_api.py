"""metrics-server in the cloud, registered as the metrics API: kubectl top and autoscalers use it.

It reads the nodes' ``/metrics/resource`` with its ServiceAccount's token, as in any cluster.

Source: metrics-server manifests/base (rights, registration).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devcluster.layout import METRICS_PORT, ClusterLayout
from devcluster.processes import in_netns

if TYPE_CHECKING:
    from pathlib import Path

    from devcluster.cluster_pki import ClusterPKI

NAMESPACE = "kube-system"
NAME = "metrics-server"
API = "/apis/metrics.k8s.io/v1beta1/nodes"
# How old the figures of kubectl top may be; metrics-server takes no less.
RESOLUTION_S = 10
_RBAC = "rbac.authorization.k8s.io"


def kubeconfig(cluster: ClusterLayout) -> Path:
    """Return where its kubeconfig is."""
    return cluster.kubeconfigs / NAME


def command(cluster: ClusterLayout, pki: ClusterPKI) -> list[str]:
    """Return metrics-server's command line, in the cloud."""
    program = [*in_netns(cluster.cloud_netns), str(cluster.bin / NAME)]
    return [*program, *flags(cluster, authority_file=pki.authority.certificate_file)]


def flags(cluster: ClusterLayout, *, authority_file: Path) -> list[str]:
    """Return its flags.

    Args:
        cluster: Whose.
        authority_file: Who signed the nodes' serving certificates.
    """
    file = kubeconfig(cluster)
    return [
        f"--kubeconfig={file}",
        f"--authentication-kubeconfig={file}",
        f"--authorization-kubeconfig={file}",
        f"--bind-address={cluster.api_address}",
        f"--secure-port={METRICS_PORT}",
        f"--cert-dir={cluster.root / NAME}",
        f"--kubelet-certificate-authority={authority_file}",
        # The name of a kubelet's node is resolved by no one here.
        "--kubelet-preferred-address-types=InternalIP",
        "--kubelet-use-node-status-port",
        f"--metric-resolution={RESOLUTION_S}s",
        f"--kubelet-request-timeout={RESOLUTION_S - 2}s",
    ]


def objects(cluster: ClusterLayout) -> dict[str, Any]:
    """Return its rights and its registration, as a List."""
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _in_namespace(NAME)},
            {
                "apiVersion": f"{_RBAC}/v1",
                "kind": "ClusterRole",
                "metadata": {"name": "system:metrics-server"},
                "rules": [
                    {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
                    {
                        "apiGroups": [""],
                        "resources": ["pods", "nodes"],
                        "verbs": ["get", "list", "watch"],
                    },
                ],
            },
            _binding("ClusterRoleBinding", {"name": "system:metrics-server"}),
            _binding("ClusterRoleBinding", {"name": "system:auth-delegator"}),
            _binding(
                "RoleBinding", _in_namespace("extension-apiserver-authentication-reader"), "Role"
            ),
            *_registration(cluster),
        ],
    }


def _in_namespace(name: str) -> dict[str, str]:
    return {"name": name, "namespace": NAMESPACE}


def _binding(kind: str, metadata: dict[str, str], role: str = "ClusterRole") -> dict[str, object]:
    """Return what gives metrics-server the role of the same name."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": kind,
        "metadata": {**metadata, "name": f"metrics-server:{metadata['name']}"},
        "roleRef": {"apiGroup": _RBAC, "kind": role, "name": metadata["name"]},
        "subjects": [{"kind": "ServiceAccount", **_in_namespace(NAME)}],
    }


def _registration(cluster: ClusterLayout) -> list[dict[str, object]]:
    """Return the APIService and the Service behind it, which is no pod's but a process'."""
    port = {"name": "https", "port": METRICS_PORT, "protocol": "TCP"}
    labels = {"kubernetes.io/service-name": NAME}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _in_namespace(NAME),
            "spec": {"ports": [{**port, "port": 443, "targetPort": METRICS_PORT}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**_in_namespace(NAME), "labels": labels},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [cluster.api_address], "conditions": {"ready": True}}],
            "ports": [port],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "service": _in_namespace(NAME),
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        },
    ]
