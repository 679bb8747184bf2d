"""Kubeconfig files, service accounts and rotating tokens."""

from __future__ import annotations

import base64
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import trustme
import yaml

from provider.kube.credentials import (
    FileToken,
    StaticToken,
    load_in_cluster,
    load_kubeconfig,
)
from provider.kube.errors import CredentialsError

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Make one CA for all tests: keys take time."""
    return trustme.CA()


def write(path: Path, *, cluster: Json, user: Json) -> Path:
    """Write a kubeconfig with one context."""
    config = {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }
    path.write_text(yaml.safe_dump(config))
    return path


async def test_inline_certificates_are_used(tmp_path: Path, authority: trustme.CA) -> None:
    """The form that kubeadm and this project's cluster write."""
    leaf = authority.issue_cert("client.example")
    encode = base64.b64encode
    path = write(
        tmp_path / "config",
        cluster={
            "server": "https://10.0.0.1:6443/",
            "certificate-authority-data": encode(authority.cert_pem.bytes()).decode(),
            "tls-server-name": "kubernetes",
        },
        user={
            "client-certificate-data": encode(leaf.cert_chain_pems[0].bytes()).decode(),
            "client-key-data": encode(leaf.private_key_pem.bytes()).decode(),
        },
    )
    access = await load_kubeconfig(path)
    assert (access.server, access.server_name) == ("https://10.0.0.1:6443", "kubernetes")
    assert access.tls is not None
    assert len(access.tls.get_ca_certs()) == 1
    assert await access.tokens.token() is None


async def test_files_are_relative_to_the_kubeconfig(tmp_path: Path, authority: trustme.CA) -> None:
    """As kubectl reads them."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    (tmp_path / "token").write_text("from-file\n")
    path = write(
        tmp_path / "config",
        cluster={"server": "https://h", "certificate-authority": "ca.pem"},
        user={"tokenFile": "token", "token": "static"},
    )
    assert await (await load_kubeconfig(path)).tokens.token() == "from-file"


@pytest.mark.parametrize(
    ("cluster", "user", "named"),
    [
        ({}, {}, "server is missing"),
        ({"server": "ftp://h"}, {}, "no http"),
        ({"server": "https://h", "proxy-url": "http://p"}, {}, "proxy-url"),
        ({"server": "https://h"}, {"username": "u", "password": "p"}, "username"),
        ({"server": "https://h"}, {"as": "root"}, "as is not supported"),
        ({"server": "https://h"}, {"client-key": "k"}, "client-key"),
        ({"server": "https://h"}, {"client-certificate-data": "%"}, "client-certificate"),
        (
            {"server": "https://h", "certificate-authority-data": "eA=="},
            {},
            "certificate-authority",
        ),
    ],
)
async def test_what_is_wrong_is_named(
    tmp_path: Path, cluster: Json, user: Json, named: str
) -> None:
    """One sentence that names the field."""
    path = write(tmp_path / "config", cluster=cluster, user=user)
    with pytest.raises(CredentialsError, match=named):
        await load_kubeconfig(path)


@pytest.mark.parametrize("text", ["", "[]", "a: [", "current-context: x"])
async def test_a_file_that_is_no_kubeconfig_is_refused(tmp_path: Path, text: str) -> None:
    """Whatever is in it, the answer is a CredentialsError."""
    (tmp_path / "config").write_text(text)
    with pytest.raises(CredentialsError, match="config"):
        await load_kubeconfig(tmp_path / "config")


async def test_an_exec_plugin_gives_the_token(tmp_path: Path) -> None:
    """The one case that brings in kubernetes_asyncio."""
    credential = (
        '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1",'
        '"status":{"token":"from-plugin"}}'
    )
    path = write(
        tmp_path / "config",
        cluster={"server": "https://h"},
        user={
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": sys.executable,
                "args": ["-c", f"print('{credential}')"],
            }
        },
    )
    assert await (await load_kubeconfig(path)).tokens.token() == "from-plugin"


def test_importing_the_client_does_not_import_kubernetes_asyncio() -> None:
    """It costs 39 MiB, which a provider per site must not pay."""
    program = "import sys, provider.kube.client; sys.exit('kubernetes_asyncio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_a_rotated_token_file_is_read_again(tmp_path: Path) -> None:
    """After a minute, and not before."""
    now = [0.0]
    path = tmp_path / "token"
    path.write_text("one")
    tokens = FileToken(path=path, clock=lambda: now[0])
    assert await tokens.token() == "one"
    path.write_text("two")
    now[0] = 59.0
    assert await tokens.token() == "one"
    now[0] = 60.0
    assert await tokens.token() == "two"


async def test_an_empty_or_missing_token_file_is_an_error(tmp_path: Path) -> None:
    """No token is not an anonymous call."""
    with pytest.raises(CredentialsError, match="token"):
        await FileToken(path=tmp_path / "token").token()
    (tmp_path / "token").write_text(" \n")
    with pytest.raises(CredentialsError, match="empty"):
        await FileToken(path=tmp_path / "token").token()
    assert await StaticToken().token() is None


def test_in_cluster(tmp_path: Path, authority: trustme.CA) -> None:
    """The service account's files and the pod's environment."""
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}
    assert load_in_cluster(environment, folder=tmp_path).server == "https://[fd00::1]:443"
    with pytest.raises(CredentialsError, match="KUBERNETES_SERVICE_HOST"):
        load_in_cluster({}, folder=tmp_path)
    with pytest.raises(CredentialsError, match=r"ca\.crt"):
        load_in_cluster(environment, folder=tmp_path / "nothing")
