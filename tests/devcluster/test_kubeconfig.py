"""Kubeconfig files."""

from __future__ import annotations

import base64
import json
import stat
from typing import TYPE_CHECKING

from devcluster import pki
from devcluster.kubeconfig import write_client_kubeconfig, write_token_kubeconfig

if TYPE_CHECKING:
    from pathlib import Path


def test_client_kubeconfig_holds_all_it_needs(tmp_path: Path) -> None:
    """It can be copied elsewhere, and only its owner reads it."""
    authority = pki.ensure_authority(pki.key_pair(tmp_path, "ca"), "ca")
    subject = pki.Subject(common_name="admin", client=True)
    client = pki.ensure_certificate(pki.key_pair(tmp_path, "admin"), subject, issuer=authority)
    file = tmp_path / "kubeconfig"
    write_client_kubeconfig(file, server="https://h:1", authority=authority, client=client)
    document = json.loads(file.read_text())
    assert str(tmp_path) not in file.read_text()
    assert document["clusters"][0]["cluster"]["server"] == "https://h:1"
    key = base64.b64decode(document["users"][0]["user"]["client-key-data"])
    assert key == client.key_file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_token_kubeconfig_names_the_token_file(tmp_path: Path) -> None:
    """The token is read when it is needed, so a new one counts without a restart."""
    authority = pki.ensure_authority(pki.key_pair(tmp_path, "ca"), "ca")
    file = tmp_path / "kubeconfig"
    write_token_kubeconfig(
        file,
        server="https://h:1",
        authority=authority,
        token_file=tmp_path / "token",
        namespace="edgelet-a",
    )
    document = json.loads(file.read_text())
    assert document["users"][0]["user"] == {"tokenFile": str(tmp_path / "token")}
    assert document["contexts"][0]["context"]["namespace"] == "edgelet-a"
