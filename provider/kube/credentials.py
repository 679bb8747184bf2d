"""Where the API server is, and how the provider proves who it is.

Certificates, tokens and token files are read here with PyYAML and ``ssl``. Only a kubeconfig that
names an ``exec`` plugin or an ``auth-provider`` brings in kubernetes_asyncio, which knows those
protocols: importing any part of it imports all of it, 39 MiB resident and 0.3 s, which a provider
per site must not pay for reading a token from a file.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from provider.kube.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SERVICE_ACCOUNT_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# The kubelet replaces a projected token at 80 % of its life; client-go rereads it every minute.
TOKEN_REREAD_S = 60.0


class TokenSource(Protocol):
    """Gives the bearer token of the moment."""

    async def token(self) -> str | None:
        """Return the token to send now, or None when none is needed.

        Raises:
            CredentialsError: There is none to be had.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticToken:
    """A token that never changes, or no token at all (client certificates)."""

    value: str | None = None

    async def token(self) -> str | None:
        """Return the token."""
        return self.value


@dataclass(slots=True, kw_only=True)
class FileToken:
    """A token in a file that somebody else replaces from time to time.

    Attributes:
        path: The file.
        clock: Monotonic seconds.
    """

    path: Path
    clock: Callable[[], float] = time.monotonic
    _value: str = field(default="", init=False)
    _read_at: float = field(default=0.0, init=False)

    async def token(self) -> str | None:
        """Return the token, read from the file again when it is older than TOKEN_REREAD_S."""
        now = self.clock()
        if not self._value or now - self._read_at >= TOKEN_REREAD_S:
            self._value = self._read()
            self._read_at = now
        return self._value

    def _read(self) -> str:
        try:
            text = self.path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise CredentialsError(f"token file {self.path}: {exc}") from exc
        if not text:
            raise CredentialsError(f"token file {self.path} is empty")
        return text


class PluginToken:
    """A token from an exec plugin or auth provider, by way of kubernetes_asyncio."""

    def __init__(self, loader: Any) -> None:  # noqa: ANN401 - KubeConfigLoader has no types
        self._loader = loader

    async def token(self) -> str | None:
        """Return the plugin's token; the plugin runs again when its answer has expired."""
        try:
            await self._loader.load_from_exec_plugin()
        except Exception as exc:  # a plugin can fail in any way, none of which may pass unseen
            raise CredentialsError(f"the kubeconfig's credential plugin failed: {exc}") from exc
        text = str(self._loader.token or "")
        return text.removeprefix("Bearer ") or None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterAccess:
    """All that a client needs to talk to one API server.

    Attributes:
        server: Base URL without a trailing slash; it may hold a path.
        tls: None only for plain HTTP.
        server_name: Name to verify and to send as SNI instead of the URL's host, or None.
        tokens: Source of bearer tokens.
    """

    server: str
    tls: ssl.SSLContext | None
    tokens: TokenSource
    server_name: str | None = None


async def load_access(kubeconfig: str | Path | None) -> ClusterAccess:
    """Use a kubeconfig file; without one the pod's own service account.

    Raises:
        CredentialsError: They cannot be used.
    """
    if kubeconfig is None:
        return load_in_cluster(os.environ)
    return await load_kubeconfig(Path(kubeconfig))


def load_in_cluster(
    environment: Mapping[str, str], *, folder: Path = SERVICE_ACCOUNT_FOLDER
) -> ClusterAccess:
    """Use the pod's own service account.

    Raises:
        CredentialsError: This is no pod, or its token is not mounted.
    """
    host = environment.get("KUBERNETES_SERVICE_HOST", "")
    port = environment.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise CredentialsError(
            "no kubeconfig is given and this is no pod (KUBERNETES_SERVICE_HOST is not set)"
        )
    try:
        tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    except (OSError, ssl.SSLError) as exc:
        raise CredentialsError(f"{folder / 'ca.crt'}: {exc}") from exc
    host = f"[{host}]" if ":" in host else host
    return ClusterAccess(
        server=f"https://{host}:{port}", tls=tls, tokens=FileToken(path=folder / "token")
    )


async def load_kubeconfig(path: Path) -> ClusterAccess:
    """Use the current context of a kubeconfig file.

    Raises:
        CredentialsError: The file cannot be read, or holds what is not supported; the message
            names the field.
    """
    config = _Section(_read_yaml(path), f"kubeconfig {path}")
    context = config.named("contexts", config.text("current-context"), "context")
    cluster = config.named("clusters", context.text("cluster"), "cluster")
    user = config.named("users", context.text("user"), "user")
    for section, field_name in ((cluster, "proxy-url"), (user, "username"), (user, "as")):
        if section.get(field_name):
            raise CredentialsError(f"{section.where}: {field_name} is not supported")
    if user.get("exec") or user.get("auth-provider"):
        return await _load_with_plugin(path, cluster)
    tls = _cluster_tls(cluster, path.parent)
    _load_client_certificate(tls, user, path.parent)
    return _access(cluster, tls, _user_tokens(user, path.parent))


def _read_yaml(path: Path) -> object:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise CredentialsError(f"kubeconfig {path}: {exc}") from exc


def _user_tokens(user: _Section, folder: Path) -> TokenSource:
    if token_file := user.get("tokenFile"):
        return FileToken(path=folder / token_file)
    return StaticToken(value=user.get("token") or None)


def _access(cluster: _Section, tls: ssl.SSLContext, tokens: TokenSource) -> ClusterAccess:
    server = cluster.text("server").rstrip("/")
    if not server.startswith(("https://", "http://")):
        raise CredentialsError(f"{cluster.where}: server {server!r} is no http(s) URL")
    return ClusterAccess(
        server=server,
        tls=tls if server.startswith("https://") else None,
        tokens=tokens,
        server_name=cluster.get("tls-server-name") or None,
    )


def _cluster_tls(cluster: _Section, folder: Path) -> ssl.SSLContext:
    authority = cluster.data("certificate-authority", folder)
    try:
        text = authority.decode("ascii") if authority else None
        tls = ssl.create_default_context(cadata=text)
    except (ValueError, ssl.SSLError) as exc:
        raise CredentialsError(f"{cluster.where}: certificate-authority: {exc}") from exc
    if cluster.get("insecure-skip-tls-verify"):
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    return tls


def _load_client_certificate(tls: ssl.SSLContext, user: _Section, folder: Path) -> None:
    certificate = user.data("client-certificate", folder)
    key = user.data("client-key", folder)
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        raise CredentialsError(f"{user.where}: client-certificate and client-key need each other")
    # `ssl` reads keys from files only; this one is readable by us alone and gone at once.
    with tempfile.NamedTemporaryFile(suffix=".pem") as pem:
        pem.write(certificate.rstrip() + b"\n" + key)
        pem.flush()
        try:
            tls.load_cert_chain(pem.name)
        except (OSError, ssl.SSLError) as exc:
            raise CredentialsError(f"{user.where}: client certificate and key: {exc}") from exc


async def _load_with_plugin(path: Path, cluster: _Section) -> ClusterAccess:
    # Imported here and nowhere else: see the module's docstring.
    from kubernetes_asyncio.client import Configuration
    from kubernetes_asyncio.config import ConfigException, load_kube_config

    configuration = Configuration()
    try:
        loader = await load_kube_config(
            config_file=str(path), client_configuration=configuration, persist_config=False
        )
    except (ConfigException, ValueError, OSError) as exc:
        raise CredentialsError(f"kubeconfig {path}: {exc}") from exc
    tls = _cluster_tls(cluster, path.parent)
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    return _access(cluster, tls, PluginToken(loader))


class _Section:
    """A mapping of a kubeconfig that knows where it stands, for messages that name the field."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise CredentialsError(f"{where} is no mapping")
        self._value: dict[str, Any] = value
        self.where = where

    def get(self, key: str) -> Any:  # noqa: ANN401 - parsed YAML
        return self._value.get(key)

    def text(self, key: str) -> str:
        value = self._value.get(key)
        if not isinstance(value, str) or not value:
            raise CredentialsError(f"{self.where}: {key} is missing")
        return value

    def named(self, key: str, name: str, inner: str) -> _Section:
        for entry in self._value.get(key) or ():
            if isinstance(entry, dict) and entry.get("name") == name:
                return _Section(entry.get(inner), f"{self.where}: {inner} {name!r}")
        raise CredentialsError(f"{self.where}: {key} has no entry {name!r}")

    def data(self, key: str, folder: Path) -> bytes | None:
        """Return the bytes of ``<key>-data`` (base64) or of the file that ``<key>`` names."""
        encoded, file_name = self._value.get(f"{key}-data"), self._value.get(key)
        try:
            if encoded:
                return base64.b64decode(encoded, validate=True)
            return (folder / file_name).read_bytes() if file_name else None
        except (OSError, TypeError, ValueError, binascii.Error) as exc:
            raise CredentialsError(f"{self.where}: {key}: {exc}") from exc
