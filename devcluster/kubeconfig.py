"""Kubeconfig files."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from devcluster.pki import KeyPair, write_private

if TYPE_CHECKING:
    from pathlib import Path


def write_client_kubeconfig(
    file: Path, *, server: str, authority: KeyPair, client: KeyPair
) -> None:
    """Write a kubeconfig that holds a client certificate; nothing in it is a path."""
    user = {
        "client-certificate-data": _inline(client.certificate_file),
        "client-key-data": _inline(client.key_file),
    }
    _write(file, server=server, authority=authority, user=user, namespace="default")


def write_token_kubeconfig(
    file: Path, *, server: str, authority: KeyPair, token_file: Path, namespace: str
) -> None:
    """Write a kubeconfig whose token is read from a file, as a pod's is."""
    _write(
        file,
        server=server,
        authority=authority,
        user={"tokenFile": str(token_file)},
        namespace=namespace,
    )


def _write(
    file: Path, *, server: str, authority: KeyPair, user: dict[str, str], namespace: str
) -> None:
    cluster = {
        "server": server,
        "certificate-authority-data": _inline(authority.certificate_file),
    }
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "devcluster", "cluster": cluster}],
        "users": [{"name": "devcluster", "user": user}],
        "contexts": [
            {
                "name": "devcluster",
                "context": {"cluster": "devcluster", "user": "devcluster", "namespace": namespace},
            }
        ],
        "current-context": "devcluster",
    }
    # JSON is YAML, and needs no writer of its own.
    write_private(file, (json.dumps(document, indent=2) + "\n").encode())


def _inline(file: Path) -> str:
    return base64.b64encode(file.read_bytes()).decode()
