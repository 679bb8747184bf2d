"""All that a provider is configured with, on loopback, and what it finds in its cluster."""

from __future__ import annotations

import contextlib
import itertools
import socket
from typing import TYPE_CHECKING, Any

import yaml

from provider.config import Config, parse_config
from tests.fakes.kubelet_port import API_SERVER, SUBRESOURCES, VERBS, ClusterPki
from tests.fakes.site_objects import put_secrets, put_site
from tests.fakes.site_pki import SitePki

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.fake_api_server import FakeAPIServer


class ProviderFiles:
    """One provider's files.

    Attributes:
        fields: The configuration, to be changed before ``write``.
    """

    def __init__(self, folder: Path, *, api_server_url: str = "http://127.0.0.1:9") -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / "cluster").mkdir()
        self.cluster = ClusterPki(folder / "cluster")
        self.site = SitePki(folder / "site", site="site-a")
        kubeconfig = write_kubeconfig(folder, api_server_url)
        self.fields: dict[str, Any] = {
            "siteName": "site-a",
            "nodeAddress": "127.0.0.1",
            "kubeletPort": free_port(),
            "kubeletListenAddress": "127.0.0.1",
            "edgePort": free_port(),
            "edgeListenAddress": "127.0.0.1",
            "kubeconfig": str(kubeconfig),
        }

    def apply(self, api: FakeAPIServer) -> None:
        """Put into the cluster what the provider finds there.

        The site's edge has joined, the kubelet port's certificate is approved, and the API server
        may call it.
        """
        put_site(api, client_ca_pem=self.cluster.ca_file.read_text())
        put_secrets(api, self.site.secrets() | self.kubelet_secret())
        api.reviews.allowed |= set(itertools.product((API_SERVER,), VERBS, SUBRESOURCES))

    def kubelet_secret(self) -> dict[str, dict[str, bytes]]:
        """Return the Secret of the kubelet port, whose certificate the cluster approved."""
        serving = {
            "tls.crt": self.cluster.certificate_file.read_bytes(),
            "tls.key": self.cluster.key_file.read_bytes(),
        }
        return {"edgelet-kubelet-serving": serving}

    def write(self) -> Path:
        """Write the configuration file."""
        file = self.folder / "provider.yaml"
        file.write_text(yaml.safe_dump(self.fields))
        return file

    def config(self) -> Config:
        """Return the configuration."""
        return parse_config(self.fields)


def free_port() -> int:
    """Return a TCP port of loopback that is free now."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port: int = listener.getsockname()[1]
        return port


def write_kubeconfig(folder: Path, server: str) -> Path:
    """Write a kubeconfig for a server that takes any token."""
    file = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": {"token": "secret"}}],
    }
    file.write_text(yaml.safe_dump(content))
    return file
