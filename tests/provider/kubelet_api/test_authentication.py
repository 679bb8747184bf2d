"""Who calls: certificates and tokens over real TLS, and what is left of them as time goes by."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from cryptography.x509.oid import ExtendedKeyUsageOID

from provider.edge_link.edge_client import EdgeClient
from provider.kubelet_api.request_heads import BEARER_SUBPROTOCOL
from tests.fakes.kubelet_port import (
    API_SERVER,
    SITE,
    ClusterPki,
    KubeletPort,
    RawClient,
    allow_everything,
    kubelet_port,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

COMMON_NAME, ORGANIZATION, USER_ID = "2.5.4.3", "2.5.4.10", "1.3.6.1.4.1.57683.2"
# The site is offline: whoever is let in is told so.
LET_IN, NOT_LET_IN = 503, 401


@contextlib.asynccontextmanager
async def offline_port(pki: ClusterPki, **options: Any) -> AsyncIterator[KubeletPort]:  # noqa: ANN401
    """Serve the port of an offline site; jane may do everything."""
    async with kubelet_port(EdgeClient(site=SITE), pki, **options) as port:
        port.api.reviews.tokens["jane-token"] = {"username": "jane", "groups": ["dev"]}
        allow_everything(port.api, "jane")
        yield port


async def status_of(client: RawClient, *lines: str) -> tuple[int, dict[str, str]]:
    """Ask for the pods on an open connection and return the answer's status and headers."""
    await client.request("GET", "/pods", *lines)
    status, headers = await client.head()
    await client.reader.readexactly(int(headers["content-length"]))
    return status, headers


def access_specs(port: KubeletPort) -> list[dict[str, Any]]:
    """Return what was asked about callers' access."""
    return [one.body["spec"] for one in port.api.seen("create", "subjectaccessreviews")]


async def test_a_certificates_subject_is_the_user(pki: ClusterPki) -> None:
    """Name, groups, UID and fingerprint, as an API server reads them; no token is asked about."""
    context = pki.client_context_of(
        (ORGANIZATION, "dev"), (ORGANIZATION, "ops"), (COMMON_NAME, "jane"), (USER_ID, "17")
    )
    async with offline_port(pki) as port, port.connect_with(context) as client:
        assert (await status_of(client))[0] == LET_IN
        spec = access_specs(port)[0]
        assert (spec["user"], spec["groups"]) == ("jane", ["dev", "ops", "system:authenticated"])
        assert spec["uid"] == "17"
        (credential,) = spec["extra"]["authentication.kubernetes.io/credential-id"]
        assert credential.startswith("X509SHA256=")
        assert not port.api.seen("create", "tokenreviews")


@pytest.mark.parametrize(
    "names",
    [
        [],
        [(ORGANIZATION, "system:masters")],
        [(COMMON_NAME, "jane"), (COMMON_NAME, API_SERVER)],
        [(COMMON_NAME, "jane"), (USER_ID, "1"), (USER_ID, "2")],
    ],
)
async def test_a_certificate_that_names_no_one_user_is_none(
    pki: ClusterPki, names: list[tuple[str, str]]
) -> None:
    """But a token beside it counts."""
    context = pki.client_context_of(*names)
    async with offline_port(pki) as port, port.connect_with(context) as client:
        assert (await status_of(client))[0] == NOT_LET_IN
        assert (await status_of(client, "Authorization: Bearer jane-token"))[0] == LET_IN


@pytest.mark.parametrize("kind", ["other CA", "expired", "for servers"])
async def test_a_certificate_that_is_not_good_gets_no_connection(
    pki: ClusterPki, kind: str
) -> None:
    """The handshake fails, and a token would not help."""
    options: dict[str, dict[str, Any]] = {
        "other CA": {"authority": trustme.CA()},
        "expired": {"lifetime": datetime.timedelta(seconds=-60)},
        "for servers": {"usage": ExtendedKeyUsageOID.SERVER_AUTH},
    }
    context = pki.client_context_of((COMMON_NAME, API_SERVER), **options[kind])
    async with offline_port(pki) as port:
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            async with port.connect_with(context) as client:
                await status_of(client)
        assert not port.api.requests


async def test_a_certificate_that_expires_ends_its_connection(pki: ClusterPki) -> None:
    """A connection that is kept for long does not keep its user."""
    now = time.time()
    context = pki.client_context_of((COMMON_NAME, API_SERVER))
    async with offline_port(pki, clock=lambda: now) as port, port.connect_with(context) as client:
        assert (await status_of(client))[0] == LET_IN
        now += 86400.0
        status, headers = await status_of(client)
        assert (status, headers["connection"]) == (NOT_LET_IN, "close")


async def test_a_ca_that_is_taken_away_ends_its_connections(pki: ClusterPki) -> None:
    """Old connections no more than new ones."""
    other = trustme.CA()
    async with offline_port(pki) as port, port.connect() as client:
        assert (await status_of(client))[0] == LET_IN
        port.authorities.pem = other.cert_pem.bytes()
        status, headers = await status_of(client)
        assert (status, headers["connection"]) == (NOT_LET_IN, "close")
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            async with port.connect() as newcomer:
                await status_of(newcomer)
        async with port.connect(authority=other) as newcomer:
            assert (await status_of(newcomer))[0] == LET_IN


async def test_a_ca_that_is_added_keeps_old_connections(pki: ClusterPki) -> None:
    """While both are trusted, both get in, also on connections from before."""
    other = trustme.CA()
    async with offline_port(pki) as port, port.connect() as client:
        port.authorities.pem += other.cert_pem.bytes()
        assert (await status_of(client))[0] == LET_IN
        async with port.connect(authority=other) as newcomer:
            assert (await status_of(newcomer))[0] == LET_IN


async def test_while_no_ca_is_known_nobody_has_a_certificate(pki: ClusterPki) -> None:
    """Tokens work all the same."""
    async with offline_port(pki) as port:
        port.authorities.pem = b""
        with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
            async with port.connect() as client:
                await status_of(client)
        assert (await port.ask("GET", "/pods", token="jane-token"))[0] == LET_IN


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("Authorization: Bearer jane-token", LET_IN),
        ("Authorization: bearer jane-token", LET_IN),
        ("Authorization:   BEARER jane-token more", LET_IN),
        ("Authorization: Bearer  jane-token", NOT_LET_IN),
        ("Authorization: Bearer", NOT_LET_IN),
        ("Authorization: jane-token", NOT_LET_IN),
        ("Authorization: Basic amFuZTpqYW5l", NOT_LET_IN),
        ("Authorization: Bearer wrong", NOT_LET_IN),
        ("Authorization: Bearer jane-token\u00e9", NOT_LET_IN),
        ("X-Authorization: Bearer jane-token", NOT_LET_IN),
        ("Impersonate-User: jane", NOT_LET_IN),
        ("X-Remote-User: jane", NOT_LET_IN),
        ("Cookie: token=jane-token", NOT_LET_IN),
    ],
)
async def test_a_bearer_token_is_one_header_of_one_form(
    pki: ClusterPki, line: str, status: int
) -> None:
    """Nothing else says who calls."""
    async with offline_port(pki) as port:
        assert (await port.ask("GET", "/pods", line))[0] == status


def subprotocol(token: bytes) -> str:
    """Return a token in the guise of a subprotocol."""
    return BEARER_SUBPROTOCOL + base64.urlsafe_b64encode(token).decode().rstrip("=")


@pytest.mark.parametrize(
    ("lines", "is_known"),
    [
        ([f"{subprotocol(b'jane-token')}, v4.channel.k8s.io"], True),
        (["v4.channel.k8s.io", subprotocol(b"jane-token")], True),
        ([subprotocol(b"jane-token")], False),
        ([f"{subprotocol(b'jane-token')}, {subprotocol(b'jane-token')}"], False),
        ([f"{subprotocol(b'wrong')}, v4.channel.k8s.io"], False),
        ([f"{BEARER_SUBPROTOCOL}???, v4.channel.k8s.io"], False),
        ([f"{subprotocol(bytes([255, 254]))}, v4.channel.k8s.io"], False),
    ],
)
async def test_a_websocket_may_bring_its_token_as_a_subprotocol(
    pki: ClusterPki, lines: list[str], is_known: bool
) -> None:
    """Browsers cannot send it otherwise; there must be another one to choose."""
    headers = [f"Sec-WebSocket-Protocol: {line}" for line in lines]
    upgrade = ("Connection: Upgrade", "Upgrade: websocket", *headers)
    async with offline_port(pki) as port:
        status, text = await port.ask("GET", "/exec/ns/pod/c?command=sh", *upgrade)
        assert status == (LET_IN if is_known else NOT_LET_IN)
        assert ("site site-a is offline" in text) == is_known


async def test_that_is_for_websockets_alone(pki: ClusterPki) -> None:
    """Without an upgrade it is no credential."""
    line = f"Sec-WebSocket-Protocol: {subprotocol(b'jane-token')}, v4.channel.k8s.io"
    async with offline_port(pki) as port:
        assert (await port.ask("GET", "/pods", line))[0] == NOT_LET_IN


async def test_a_certificate_comes_before_a_token(pki: ClusterPki) -> None:
    """As with a kubelet; the token is not even looked at."""
    async with offline_port(pki) as port, port.connect("john") as client:
        await client.request("GET", "/pods", "Authorization: Bearer jane-token")
        assert (await client.head())[0] == 403
        assert {spec["user"] for spec in access_specs(port)} == {"john"}
        assert not port.api.seen("create", "tokenreviews")
