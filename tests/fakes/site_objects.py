"""What the manifests apply for a site, in the fake API server: empty Secrets, Lease, client CA."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakes.fake_api_server import FakeAPIServer

Json = dict[str, Any]

SITE_SECRETS = (
    "edgelet-site-ca",
    "edgelet-join-tokens",
    "edgelet-site-certificates",
    "edgelet-kubelet-serving",
)
CLIENT_CA_NAME = "extension-apiserver-authentication"
CONFIG_MAPS = "/api/v1/namespaces/kube-system/configmaps"


def secrets_path(site: str) -> str:
    """Return the collection of a site's Secrets."""
    return f"/api/v1/namespaces/edgelet-{site}/secrets"


def put_site(server: FakeAPIServer, site: str = "site-a", *, client_ca_pem: str = "") -> None:
    """Apply a site's objects, and the cluster's ConfigMap with the CA of its clients."""
    for name in SITE_SECRETS:
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque"}
        server.put(secrets_path(site), body)
    leases = f"/apis/coordination.k8s.io/v1/namespaces/edgelet-{site}/leases"
    server.put(leases, {"kind": "Lease", "metadata": {"name": "edgelet-writer"}})
    put_client_ca(server, client_ca_pem)


def put_secrets(
    server: FakeAPIServer, secrets: Mapping[str, Mapping[str, bytes]], *, site: str = "site-a"
) -> None:
    """Put data into Secrets of a site."""
    for name, data in secrets.items():
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        server.put(
            secrets_path(site), {**server.objects[secrets_path(site), name], "data": encoded}
        )


def put_client_ca(server: FakeAPIServer, client_ca_pem: str) -> None:
    """Set what the API server publishes as the CA of client certificates."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": CLIENT_CA_NAME}}
    server.put(CONFIG_MAPS, body | {"data": {"client-ca-file": client_ca_pem}})


def secret_data(server: FakeAPIServer, name: str, *, site: str = "site-a") -> dict[str, bytes]:
    """Return what a Secret of the site holds now, decoded."""
    data = server.objects[secrets_path(site), name].get("data") or {}
    return {key: base64.b64decode(value) for key, value in data.items()}


def refused_secret(body: Json) -> str:
    """Return why the API server would not take a Secret, "" when it would."""
    try:
        sizes = [len(base64.b64decode(v, validate=True)) for v in (body.get("data") or {}).values()]
    except ValueError:
        return "illegal base64 data at input byte 0"
    return "Too long: may not be more than 1048576 bytes" if sum(sizes) > 1 << 20 else ""
