"""Command lines of etcd and the control plane, and how to tell that each serves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from devcluster.cluster_pki import API_SERVER_CLIENT_NAME, FRONT_PROXY_NAME, ClusterPKI
from devcluster.layout import (
    API_PORT,
    ETCD_PORT,
    SERVICE_NETWORK,
    ClusterLayout,
)
from devcluster.processes import in_netns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devcluster.state import Process

ETCD_PEER_PORT = 2380
CONTROLLER_MANAGER_PORT = 10257
SCHEDULER_PORT = 10259
# TCP_LISTEN of include/net/tcp_states.h, as /proc/net/tcp writes it.
_LISTEN = "0A"


def _flags(**values: str | Path | int | bool) -> list[str]:
    return [f"--{name.replace('_', '-')}={_text(value)}" for name, value in values.items()]


def _text(value: str | Path | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def etcd(cluster: ClusterLayout) -> list[str]:
    """Return etcd's command line. It serves loopback only: it asks no one who they are."""
    clients, peers = f"http://127.0.0.1:{ETCD_PORT}", f"http://127.0.0.1:{ETCD_PEER_PORT}"
    return [
        *in_netns(cluster.cloud_netns),
        str(cluster.bin / "etcd"),
        *_flags(
            data_dir=cluster.root / "etcd",
            listen_client_urls=clients,
            advertise_client_urls=clients,
            listen_peer_urls=peers,
            initial_advertise_peer_urls=peers,
            initial_cluster=f"default={peers}",
            log_level="warn",
            # The data lives as long as the cluster: what a power cut would lose is made again by
            # `up`.
            unsafe_no_fsync=True,
        ),
    ]


def kube_apiserver(cluster: ClusterLayout, pki: ClusterPKI, *, kubelet: bool) -> list[str]:
    """Return the API server's command line.

    Args:
        cluster: Whose.
        pki: Its keys.
        kubelet: A kubelet will be there, whose Node publishes a name that no one resolves. Sites
            are reached with the default order of addresses.
    """
    addresses = {"kubelet_preferred_address_types": "InternalIP"} if kubelet else {}
    return [
        *in_netns(cluster.cloud_netns),
        str(cluster.bin / "kube-apiserver"),
        *_flags(
            bind_address=cluster.api_address,
            advertise_address=cluster.api_address,
            secure_port=API_PORT,
            etcd_servers=f"http://127.0.0.1:{ETCD_PORT}",
            service_cluster_ip_range=SERVICE_NETWORK,
            tls_cert_file=pki.api_server.certificate_file,
            tls_private_key_file=pki.api_server.key_file,
            client_ca_file=pki.authority.certificate_file,
            kubelet_client_certificate=pki.kubelet_client.certificate_file,
            kubelet_client_key=pki.kubelet_client.key_file,
            kubelet_certificate_authority=pki.authority.certificate_file,
            proxy_client_cert_file=pki.front_proxy.certificate_file,
            proxy_client_key_file=pki.front_proxy.key_file,
            requestheader_client_ca_file=pki.front_proxy_authority.certificate_file,
            requestheader_allowed_names=FRONT_PROXY_NAME,
            requestheader_username_headers="X-Remote-User",
            requestheader_group_headers="X-Remote-Group",
            requestheader_extra_headers_prefix="X-Remote-Extra-",
            service_account_key_file=pki.service_accounts.key_file,
            service_account_signing_key_file=pki.service_accounts.key_file,
            service_account_issuer="https://kubernetes.default.svc.cluster.local",
            authorization_mode="Node,RBAC",
            enable_admission_plugins="NodeRestriction",
            allow_privileged=True,
            profiling=False,
            # No one routes Service addresses in the cloud: what serves an API is dialled itself.
            enable_aggregator_routing=True,
            **addresses,
        ),
    ]


def kube_controller_manager(cluster: ClusterLayout, pki: ClusterPKI) -> list[str]:
    """Return the controller manager's command line; its times are Kubernetes' defaults."""
    kubeconfig = cluster.kubeconfigs / "kube-controller-manager"
    return [
        *in_netns(cluster.cloud_netns),
        str(cluster.bin / "kube-controller-manager"),
        *_flags(
            bind_address="127.0.0.1",
            kubeconfig=kubeconfig,
            authentication_kubeconfig=kubeconfig,
            authorization_kubeconfig=kubeconfig,
            service_account_private_key_file=pki.service_accounts.key_file,
            root_ca_file=pki.authority.certificate_file,
            cluster_signing_cert_file=pki.authority.certificate_file,
            cluster_signing_key_file=pki.authority.key_file,
            # Making the controllers' own accounts takes 4 s at the default of 20 a second.
            kube_api_qps=200,
            kube_api_burst=400,
            use_service_account_credentials=True,
            leader_elect=False,
        ),
    ]


def kube_scheduler(cluster: ClusterLayout) -> list[str]:
    """Return the scheduler's command line."""
    kubeconfig = cluster.kubeconfigs / "kube-scheduler"
    return [
        *in_netns(cluster.cloud_netns),
        str(cluster.bin / "kube-scheduler"),
        *_flags(
            bind_address="127.0.0.1",
            kubeconfig=kubeconfig,
            authentication_kubeconfig=kubeconfig,
            authorization_kubeconfig=kubeconfig,
            leader_elect=False,
        ),
    ]


def api_server_role_binding() -> dict[str, object]:
    """Return the binding that lets the API server call kubelets, which ask about callers."""
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "devcluster-kubelet-client"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "system:kubelet-api-admin"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": API_SERVER_CLIENT_NAME}],
    }


def listens(process: Process, port: int) -> bool:
    """Tell whether something listens on a TCP port in the network namespace of a process."""
    return any(found == port for _, found in listeners(process.pid))


def listeners(pid: int) -> Iterator[tuple[str, int]]:
    """Yield the TCP listeners in a process' namespace.

    Yields:
        Address, hexadecimal as the kernel writes it, and port.
    """
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        except (FileNotFoundError, ProcessLookupError, OSError):
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN:
                address, _, port = fields[1].partition(":")
                yield address, int(port, 16)
