"""What is secret stands in no log, in no command line and in no file that others may read.

Provider, edge and operator are processes of their own, as talkative as they can be, through a join,
a pod with a Secret, a renewal, a call with a bearer token, and a revocation.
"""

from __future__ import annotations

import asyncio
import base64
import re
import ssl
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.fakes.fake_api_server import FakeAPIServer
from tests.fakes.fake_cri import FakeCri
from tests.fakes.kubelet_port import RawClient
from tests.fakes.reports import make_pod
from tests.fakes.site_objects import put_secrets, put_site, secret_data
from tests.fakes.site_processes import SiteProcesses
from tunnel.identity import parse_join_token

if TYPE_CHECKING:
    from pathlib import Path

# Of the user who calls the kubelet port.
BEARER = "bearer-5d1f6a0c9e8b47d2a3c4"
USER = "jane"
# Of a pod of the site: on the edge's disk it is sealed.
PASSWORD = "password-0b7c41d9e2f6a853"
# As a browser sends it, which cannot set a header.
WEBSOCKET_WITH_TOKEN = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: v4.channel.k8s.io, base64url.bearer.authorization.k8s.io."
    + base64.urlsafe_b64encode(BEARER.encode()).rstrip(b"=").decode(),
)
EXEC = "/exec/ns/pod/c?command=true&output=1"
# What a private key, a JWT and a credential in a header look like, whosever they are.
LOOKS_SECRET = re.compile(
    rb"PRIVATE KEY|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}|[Bb]earer +[A-Za-z0-9._~+/=-]{8,}"
)
SECRET_FIELDS = {
    "edgelet-site-ca": ("ca.key", "token.key"),
    "edgelet-kubelet-serving": ("tls.key", "pending.key"),
}


@dataclass
class Secrets:
    """All that nobody may find; each in every form in which it might be written."""

    forms: dict[bytes, str] = field(default_factory=dict)

    def add(self, name: str, value: bytes) -> None:
        """Add raw bytes or text."""
        encoded = base64.b64encode(value)
        forms = (value, encoded, base64.urlsafe_b64encode(value), value.hex().encode())
        self.forms |= dict.fromkeys((form.rstrip(b"=") for form in forms), name)

    def add_key(self, name: str, pem: bytes) -> None:
        """Add a private key: the number itself, and each line of its PEM."""
        key = load_pem_private_key(pem, password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        number = key.private_numbers().private_value
        self.add(name, der)
        self.add(name, number.to_bytes(32, "big"))
        self.forms[str(number).encode()] = name
        lines = [line for line in pem.splitlines() if line and not line.startswith((b"-", b"#"))]
        # The first line of a PKCS #8 key of one kind is the same for all of them.
        self.forms |= dict.fromkeys(lines[1:-1] or lines, name)

    def found_in(self, text: bytes) -> set[str]:
        """Return the names of those that stand in a text."""
        return {name for form, name in self.forms.items() if form in text}


def collect(api: FakeAPIServer, site: SiteProcesses, secrets: Secrets) -> None:
    """Add what the Secrets and the edge's disk hold now."""
    for name, fields in SECRET_FIELDS.items():
        data = secret_data(api, name)
        for field_name in fields:
            value = data.get(field_name, b"")
            if value.startswith(b"-----"):
                secrets.add_key(f"{name}: {field_name}", value)
            elif value:
                secrets.add(f"{name}: {field_name}", value)
    identity = (site.edge_root / "identity" / "identity.pem").read_bytes()
    secrets.add_key("the edge's key", identity[: identity.index(b"-----BEGIN CERT")])
    sealing_key = site.edge_root / "sealing.key"
    if sealing_key.exists():
        secrets.add("the key of what is sealed", base64.b64decode(sealing_key.read_bytes()))


def put_pod_with_secret(api: FakeAPIServer) -> None:
    """Put a pod that is told a password."""
    data = {"password": base64.b64encode(PASSWORD.encode()).decode()}
    api.put(
        "/api/v1/namespaces/default/secrets",
        {"metadata": {"name": "login", "namespace": "default"}, "type": "Opaque", "data": data},
    )
    pod = make_pod("p", uid="u")
    reference = {"secretKeyRef": {"name": "login", "key": "password"}}
    [container] = pod["spec"]["containers"]
    container |= {
        "imagePullPolicy": "Never",
        "env": [{"name": "PASSWORD", "valueFrom": reference}],
    }
    pod["spec"] |= {"enableServiceLinks": False}
    api.put("/api/v1/namespaces/default/pods", pod)


def database_files(site: SiteProcesses) -> bytes:
    """Return all that the edge's database holds, with its -wal."""
    files = sorted(site.edge_root.glob("edgelet.db*"))
    assert len(files) > 1, "the database is not open"
    return b"".join(file.read_bytes() for file in files)


def readable_files(folder: Path) -> dict[str, bytes]:
    """Return what others than the owner may read below a folder, by path."""
    found = {}
    for file in folder.rglob("*"):
        mode = file.lstat().st_mode
        if stat.S_ISREG(mode) and mode & (stat.S_IRGRP | stat.S_IROTH):
            found[str(file.relative_to(folder))] = file.read_bytes()
    return found


async def call_with_token(site: SiteProcesses) -> list[int]:
    """Call the kubelet port with a bearer token in each way there is; return the statuses."""
    context = ssl.create_default_context(cafile=site.files.cluster.ca_file)
    statuses = []
    header = f"Authorization: Bearer {BEARER}"
    for method, path, *lines in (
        ("GET", "/pods", header),
        ("POST", EXEC, header, "Connection: Upgrade", "Upgrade: SPDY/3.1"),
        ("GET", EXEC, *WEBSOCKET_WITH_TOKEN),
    ):
        streams = await asyncio.open_connection(
            "127.0.0.1", site.files.fields["kubeletPort"], ssl=context
        )
        client = RawClient(*streams)
        await client.request(method, path, *lines)
        statuses.append((await client.head())[0])
        client.writer.transport.abort()
    return statuses


async def go_through_it_all(
    site: SiteProcesses, api: FakeAPIServer, cri: FakeCri, secrets: Secrets
) -> None:
    """Join, run a pod, renew, call, revoke."""
    async with site.watched(), site.provider() as provider:
        await provider.says("edge port")
        status, printed = await site.operate("token", "create")
        assert status == 0, printed
        token = parse_join_token(printed)
        secrets.add("the join token", token.jwt.encode())
        status, said = await site.join(str(token))
        assert (status, said) == (0, "joined as site-a\n")
        collect(api, site, secrets)
        async with site.edge() as edge:
            await edge.says("renewed")
            collect(api, site, secrets)
            await cri.reached("CreateContainer", 1)
            [created] = cri.called("CreateContainer")
            told = {each.key: each.value for each in created.config.envs}
            assert told["PASSWORD"] == PASSWORD.encode()
            held = database_files(site)
            assert b"Secret" in held
            assert secrets.found_in(held) == set()
            assert await call_with_token(site) == [200, 404, 404]
            status, said = await site.operate("site", "revoke")
            assert status == 0, said
            await provider.says("the session of site-a ends")
            await edge.says("revoked")


@pytest.fixture
def secrets() -> Secrets:
    """Begin with what the test itself brings."""
    known = Secrets()
    known.add("the caller's bearer token", BEARER.encode())
    known.add("a pod's password", PASSWORD.encode())
    return known


async def test_nothing_secret_is_told(tmp_path: Path, secrets: Secrets) -> None:
    """Neither what we know to be secret, nor what looks like it."""
    async with FakeAPIServer() as api, FakeCri(tmp_path) as cri:
        site = SiteProcesses(tmp_path / "site", api=api, cri=cri)
        site.files.fields["edgeCertificateLifetime"] = "8s"
        put_site(api, client_ca_pem=site.files.cluster.ca_file.read_text())
        put_secrets(api, site.files.kubelet_secret())
        api.reviews.tokens[BEARER] = {"username": USER, "groups": []}
        api.reviews.allowed |= {(USER, "get", "pods"), (USER, "create", "proxy")}
        cri.add_image("busybox:latest")
        put_pod_with_secret(api)
        await go_through_it_all(site, api, cri, secrets)

    logs = b"".join(site.said.values())
    assert secrets.found_in(logs) == set()
    assert LOOKS_SECRET.findall(logs) == []
    lines = "\n".join(site.command_lines).encode()
    assert b"join" in lines, "the processes were not seen"
    assert secrets.found_in(lines) == set()
    assert LOOKS_SECRET.findall(lines) == []
    # Identity, database, keys, audit log: nothing of it is anybody else's business, but for what
    # containers of any user are to read: their own logs and files.
    readable = readable_files(site.edge_root.parent)
    assert [path for path in readable if not path.startswith(("pods/", "root/pods/"))] == []
    assert {path for path, content in readable.items() if secrets.found_in(content)} == set()
    left = readable_files(site.folder / "tmp")
    assert {path: names for path in left if (names := secrets.found_in(left[path]))} == {}


def test_the_search_finds_what_it_looks_for(secrets: Secrets, tmp_path: Path) -> None:
    """Else its silence would prove nothing."""
    assert secrets.found_in(b"x " + BEARER.encode()) == {"the caller's bearer token"}
    assert secrets.found_in(base64.b64encode(BEARER.encode())) == {"the caller's bearer token"}
    assert secrets.found_in(BEARER.encode().hex().encode())
    assert LOOKS_SECRET.search(b"Authorization: Bearer abcdefghijk")
    assert LOOKS_SECRET.search(b"a eyJhbGciOiJIUzI1NiJ9.eyJzaXRlIjoiYSJ9.x")
    open_file, closed_file = tmp_path / "open", tmp_path / "closed"
    for file, mode in ((open_file, 0o644), (closed_file, 0o600)):
        file.write_bytes(BEARER.encode())
        file.chmod(mode)
    assert list(readable_files(tmp_path)) == ["open"]
