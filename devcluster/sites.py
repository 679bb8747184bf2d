"""A site's provider in the cloud and its edge behind NAT: rights, configuration, commands."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from devcluster import cgroups
from devcluster.binaries import KUBERNETES_VERSION
from devcluster.errors import DevclusterError
from devcluster.layout import (
    EDGE_PORT,
    HEALTH_PORT,
    KUBELET_PORT,
    PROJECT_ROOT,
    ClusterLayout,
    SiteLayout,
)
from devcluster.processes import in_netns, run
from devcluster.servers import api_server_role_binding
from devcluster.service_accounts import write_credentials

if TYPE_CHECKING:
    from pathlib import Path

    from devcluster.api import APIServer
    from devcluster.cluster_pki import ClusterPKI

MANIFESTS = PROJECT_ROOT / "manifests"
APPLY_TIMEOUT_S = 60.0
# Logs appear as they are written, and what ends a process in the interpreter's C code leaves a
# trace. As where it is installed, modules are compiled once, whatever our own environment says.
ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    "PYTHONFAULTHANDLER": "1",
    "PYTHONDONTWRITEBYTECODE": "",
}


def provider_namespace(site: SiteLayout) -> str:
    """Return the Kubernetes namespace that holds what is the site's own."""
    return f"edgelet-{site.name}"


def provider_service_account() -> str:
    """Return the name of the provider's ServiceAccount in it."""
    return "edgelet-provider"


def provider_config(site: SiteLayout) -> dict[str, object]:
    """Return the provider's configuration."""
    return {
        "siteName": site.name,
        "nodeAddress": site.provider_address,
        "kubeletListenAddress": site.provider_address,
        "kubeletPort": KUBELET_PORT,
        "edgeListenAddress": site.provider_address,
        "edgePort": EDGE_PORT,
        "healthListenAddress": site.provider_address,
        "healthPort": HEALTH_PORT,
        "kubeconfig": str(site.root / "provider.kubeconfig"),
        "kubeletVersion": KUBERNETES_VERSION,
    }


def edge_config(site: SiteLayout) -> dict[str, object]:
    """Return the edge runtime's configuration: every path and root is the site's own."""
    return {
        "rootDirectory": str(site.root / "edgelet"),
        "podLogsDir": str(site.root / "log/pods"),
        "containerLogsDir": str(site.root / "log/containers"),
        "containerRuntimeEndpoint": f"unix://{site.containerd_socket}",
        "cgroupRoot": site.cgroup_root,
        "cgroupDriver": cgroups.driver(),
    }


def write_configs(site: SiteLayout) -> None:
    """Write both configuration files and make the folders they name."""
    for folder in ("edgelet", "log/pods", "log/containers"):
        (site.root / folder).mkdir(parents=True, exist_ok=True)
    for file, config in (
        (provider_file(site), provider_config(site)),
        (edge_file(site), edge_config(site)),
    ):
        file.write_text("".join(f"{key}: {json.dumps(value)}\n" for key, value in config.items()))


def provider_file(site: SiteLayout) -> Path:
    """Return where the provider's configuration is."""
    return site.root / "provider.yaml"


def edge_file(site: SiteLayout) -> Path:
    """Return where the edge's configuration is."""
    return site.root / "edge.yaml"


def identity_folder(site: SiteLayout) -> Path:
    """Return where the edge keeps its certificate and key."""
    return site.root / "edgelet/identity"


def provider_command(site: SiteLayout, *arguments: str) -> list[str]:
    """Return a command line of ``edgelet-provider`` with the site's configuration, in the cloud.

    Args:
        site: Whose provider.
        arguments: The command; ``run`` without any.
    """
    python = [sys.executable, "-m", "provider", *(arguments or ("run",))]
    return [*in_netns(site.cluster.cloud_netns), *python, "--config", str(provider_file(site))]


def edge_command(site: SiteLayout, *arguments: str) -> list[str]:
    """Return a command line of ``edgelet`` with the site's configuration, behind NAT.

    Args:
        site: Whose edge.
        arguments: The command; ``run`` without any.
    """
    python = [sys.executable, "-m", "edge_runtime", *(arguments or ("run",))]
    return [*in_netns(site.edge_netns), *python, "--config", str(edge_file(site))]


def kubectl(cluster: ClusterLayout, *arguments: str | Path, stdin: str = "") -> str:
    """Run kubectl as the cluster's administrator.

    Raises:
        DevclusterError: It failed.
    """
    program: list[str | Path] = [cluster.bin / "kubectl", "--kubeconfig", cluster.kubeconfig]
    return run([*program, *arguments], stdin=stdin, timeout_s=APPLY_TIMEOUT_S)


def overlay(site: SiteLayout, *, manifests: Path = MANIFESTS) -> dict[str, Any]:
    """Return the kustomization that makes the site's rights out of the ones for any site."""
    component = os.path.relpath(manifests / "site", overlay_folder(site))
    name = {
        "name": "edgelet-site",
        "literals": [f"site={site.name}"],
        "options": {
            "disableNameSuffixHash": True,
            "annotations": {"config.kubernetes.io/local-config": "true"},
        },
    }
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "components": [component],
        "configMapGenerator": [name],
        # The provider runs as a process, since no node of this cluster could run it as a pod.
        "replicas": [{"name": "edgelet-provider", "count": 0}],
    }


def overlay_folder(site: SiteLayout) -> Path:
    """Return where the site's kustomization is."""
    return site.root / "manifests"


def allow_api_server(cluster: ClusterLayout) -> None:
    """Let the API server's kubelet client through the authorizer that kubelets ask."""
    kubectl(cluster, "apply", "-f", "-", stdin=json.dumps(api_server_role_binding()))


def apply_manifests(cluster: ClusterLayout, sites: list[SiteLayout]) -> None:
    """Give every provider its rights, through the project's manifests.

    Raises:
        DevclusterError: The manifests are missing or are refused.
    """
    if not (MANIFESTS / "base").is_dir():
        raise DevclusterError(f"{MANIFESTS}/base is missing: the providers' rights come from there")
    kubectl(cluster, "apply", "-k", MANIFESTS / "base")
    for site in sites:
        folder = overlay_folder(site)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "kustomization.yaml").write_text(json.dumps(overlay(site), indent=2) + "\n")
        kubectl(cluster, "apply", "-k", folder)


def write_provider_credentials(
    cluster: ClusterLayout, site: SiteLayout, api: APIServer, cluster_pki: ClusterPKI
) -> None:
    """Write a token of the provider's ServiceAccount and the kubeconfig that reads it.

    Raises:
        DevclusterError: The API server refuses.
    """
    write_credentials(
        cluster,
        api,
        namespace=provider_namespace(site),
        account=provider_service_account(),
        authority=cluster_pki.authority,
        kubeconfig=site.root / "provider.kubeconfig",
    )
