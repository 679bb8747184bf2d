"""How a site's edge and its provider get their certificates: as an operator would give them.

The edge joins with a token that its provider makes. The provider asks the cluster for the
certificate of its kubelet port, and the administrator approves it.
"""

from __future__ import annotations

import json
import socket
import ssl
from typing import TYPE_CHECKING, Any

from devcluster import sites
from devcluster.layout import EDGE_PORT, KUBELET_PORT, PROJECT_ROOT, SiteLayout
from devcluster.netns import inside
from devcluster.processes import part_environment, run
from tunnel.identity import SiteName, node_user_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from devcluster.pki import KeyPair

COMMAND_TIMEOUT_S = 60.0
HANDSHAKE_TIMEOUT_S = 3.0
KUBELET_SERVING = "kubernetes.io/kubelet-serving"


def join(site: SiteLayout) -> None:
    """Let the site's machine join, unless it has; the provider must be up.

    Raises:
        DevclusterError: There is no token, or the edge may not join.
    """
    if (sites.identity_folder(site) / "identity.pem").exists():
        return
    token = command(sites.provider_command(site, "token", "create"))
    server = f"{site.provider_address}:{EDGE_PORT}"
    # Not as an argument, where every user of the machine would see it.
    arguments = ("join", "--server", server, "--token-file", "-")
    command(sites.edge_command(site, *arguments), stdin=token)


def command(argv: Sequence[str], *, stdin: str = "") -> str:
    """Run a command of the provider or the edge and return what it prints.

    Raises:
        DevclusterError: It failed.
    """
    return run(
        argv,
        stdin=stdin,
        timeout_s=COMMAND_TIMEOUT_S,
        environment=part_environment({}),
        cwd=PROJECT_ROOT,
    )


def approve_kubelet_certificate(
    site: SiteLayout, authority: KeyPair, *, address: str | None = None
) -> bool:
    """Approve what the site's Node asks for; True once its kubelet port shows the certificate.

    Args:
        site: Whose Node.
        authority: The cluster's CA, by which the API server verifies kubelets.
        address: Where the provider listens, if not at the site's usual address.

    Raises:
        DevclusterError: kubectl failed.
    """
    if _shows_certificate(site, authority, address or site.provider_address):
        return True
    found = json.loads(sites.kubectl(site.cluster, "get", "csr", "-o", "json"))["items"]
    for name in pending_requests(found, node=site.name):
        sites.kubectl(site.cluster, "certificate", "approve", name)
    return False


def pending_requests(requests: list[dict[str, Any]], *, node: str) -> list[str]:
    """Return the names of a Node's requests for a serving certificate that nobody decided on."""
    return [
        item["metadata"]["name"]
        for item in requests
        if item["spec"]["signerName"] == KUBELET_SERVING
        and item["spec"].get("username") == node_user_name(SiteName(node))
        and not item.get("status", {}).get("conditions")
    ]


def _shows_certificate(site: SiteLayout, authority: KeyPair, address: str) -> bool:
    context = ssl.create_default_context(cafile=str(authority.certificate_file))
    endpoint = (address, KUBELET_PORT)
    try:
        raw = inside(
            site.cluster.cloud_netns,
            lambda: socket.create_connection(endpoint, timeout=HANDSHAKE_TIMEOUT_S),
        )
        with raw, context.wrap_socket(raw, server_hostname=address):
            return True
    except OSError:  # nothing listens, or what it shows is not signed by the cluster
        return False
