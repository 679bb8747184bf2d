"""Credentials of ServiceAccounts for programs that run as processes, not as pods."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devcluster.kubeconfig import write_token_kubeconfig
from devcluster.pki import write_private

if TYPE_CHECKING:
    from pathlib import Path

    from devcluster.api import APIServer
    from devcluster.layout import ClusterLayout
    from devcluster.pki import KeyPair

TOKEN_LIFETIME_S = 365 * 24 * 3600


def write_credentials(
    cluster: ClusterLayout,
    api: APIServer,
    *,
    namespace: str,
    account: str,
    authority: KeyPair,
    kubeconfig: Path,
) -> None:
    """Write a kubeconfig for a ServiceAccount, and beside it, as ``.token``, what it reads.

    Raises:
        DevclusterError: The API server refuses.
    """
    answer = api.create(
        f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
        {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": TOKEN_LIFETIME_S},
        },
    )
    token_file = kubeconfig.with_suffix(".token")
    write_private(token_file, answer["status"]["token"].encode())
    write_token_kubeconfig(
        kubeconfig,
        server=cluster.server,
        authority=authority,
        token_file=token_file,
        namespace=namespace,
    )
