"""All files that a provider is configured with, on loopback."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

import yaml

from provider.config import Config, parse_config
from tests.fakes.kubelet_port import ClusterPki
from tests.fakes.site_pki import SitePki

if TYPE_CHECKING:
    from pathlib import Path


class ProviderFiles:
    """One provider's files.

    Attributes:
        fields: The configuration, to be changed before ``write``.
    """

    def __init__(self, folder: Path, *, api_server_url: str = "http://127.0.0.1:9") -> None:
        self.folder = folder
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
            "kubeletServingCertificateFile": str(self.cluster.certificate_file),
            "kubeletServingKeyFile": str(self.cluster.key_file),
            "clusterClientCAFile": str(self.cluster.ca_file),
            "siteCACertificateFile": str(self.site.ca_file),
            "edgeServingCertificateFile": str(self.site.server_certificate_file),
            "edgeServingKeyFile": str(self.site.server_key_file),
        }

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
