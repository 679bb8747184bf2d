"""Who may open a tunnel, and who not: over real TLS, with the edge's own client library."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from websockets.exceptions import InvalidHandshake, InvalidStatus

from tests.fakes.edge_port import INSTANCE_A, EdgePort, edge_port
from tests.fakes.fake_api_server import FakeAPIServer
from tests.fakes.site_objects import put_secrets, put_site
from tests.fakes.site_pki import SitePki
from tunnel.enrolment import Refusal
from tunnel.protocol import SESSION_HEADER, RequestHead

if TYPE_CHECKING:
    from pathlib import Path

    from websockets.asyncio.client import connect


async def refusal(dialling: connect) -> tuple[int, str]:
    """Return status and reason with which a dial was refused."""
    with pytest.raises(InvalidStatus) as caught:
        await dialling
    response = caught.value.response
    assert response.headers["Content-Type"] == "application/json"
    return response.status_code, msgspec.json.decode(response.body or b"", type=Refusal).reason


async def test_an_edge_with_its_certificate_gets_the_tunnel(pki: SitePki) -> None:
    """Calls reach it, and the session's id is given to resume it later."""
    async with edge_port(pki) as port, port.edge() as edge:
        assert await port.client.answers(timeout_s=5)
        response = edge.connection.response
        assert response is not None
        assert len(response.headers[SESSION_HEADER]) == 32
        assert edge.connection.subprotocol == "edgelet.h2.v1"
        assert port.client.state.connected


async def test_without_a_certificate_there_is_no_tunnel(pki: SitePki) -> None:
    """TLS itself lets it through, since joining will need that; the tunnel does not."""
    async with edge_port(pki) as port:
        dialling = port.dial(context=port.edge_context(anonymous=True))
        assert await refusal(dialling) == (401, "NoCertificate")
        assert port.refusals == ["NoCertificate"]


async def test_another_ca_fails_in_the_handshake(pki: SitePki, tmp_path: Path) -> None:
    """The right name from another CA does not get so far as to be refused."""
    other = SitePki(tmp_path, site="site-a")
    async with edge_port(pki) as port:
        with pytest.raises((ssl.SSLError, ConnectionError, InvalidHandshake)) as caught:
            await port.dial(context=port.edge_context(other))
        assert not isinstance(caught.value, InvalidStatus)
        assert not port.client.state.connected


@pytest.mark.parametrize(
    ("site", "group"), [("site-b", "system:nodes"), ("site-a", "system:masters")]
)
async def test_another_name_of_the_same_ca_is_refused(
    tmp_path: Path, site: str, group: str
) -> None:
    """The identity is the certificate's, whole."""
    pki = SitePki(tmp_path, site="site-a")
    pki.issue_client(site=site, group=group)
    async with edge_port(pki) as port:
        assert (await refusal(port.dial()))[0] == 403


async def test_a_server_certificate_is_no_client_certificate(tmp_path: Path) -> None:
    """What a certificate may be used for is part of it."""
    pki = SitePki(tmp_path, site="site-a")
    pki.issue_client(site="site-a", usage=ExtendedKeyUsageOID.SERVER_AUTH)
    async with edge_port(pki) as port:
        with pytest.raises((ssl.SSLError, ConnectionError, InvalidHandshake)):
            await port.dial()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"path": "/other"}, 404),
        ({"path": "/tunnel?site=site-b"}, 404),
        ({"subprotocol": "edgelet.h2.v2"}, 400),
        ({"instance": ""}, 400),
        ({"instance": "A" * 32}, 400),
        ({"instance": "a" * 33}, 400),
    ],
)
async def test_what_is_no_tunnel_request_is_refused(
    pki: SitePki, changes: dict[str, Any], status: int
) -> None:
    """Path, subprotocol and instance are required."""
    async with edge_port(pki) as port:
        dialling = port.dial(**changes)
        assert (await refusal(dialling))[0] == status


async def test_old_tls_is_refused(pki: SitePki) -> None:
    """TLS 1.1 is no TLS any more."""
    async with edge_port(pki) as port:
        context = port.edge_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await port.dial(context=context)


async def test_a_text_message_ends_the_session(pki: SitePki) -> None:
    """Whoever sends text speaks another protocol."""
    async with edge_port(pki) as port, port.dial() as connection:
        await port.client.wait_connected()
        await connection.send("text")
        await port.client.changed()
        assert port.client.state.last_error == "the edge sent a text message"


async def test_an_oversized_message_ends_the_session(pki: SitePki) -> None:
    """More than 64 KiB is not taken into memory."""
    async with edge_port(pki) as port, port.dial() as connection:
        await port.client.wait_connected()
        await connection.send(bytes(70_000))
        await port.client.changed()
        assert not port.client.state.connected


async def test_pings_are_answered(pki: SitePki) -> None:
    """A proxy in between may ask at the level of WebSockets."""
    async with edge_port(pki) as port, port.dial() as connection:
        await port.client.wait_connected()
        async with asyncio.timeout(2):
            await (await connection.ping(b"there?"))


async def test_a_lost_connection_ends_the_session(pki: SitePki) -> None:
    """The state says so, and calls say it on."""
    async with edge_port(pki) as port, port.edge() as edge:
        stream = await port.client.open(RequestHead(method="GET", path="/healthz"))
        assert (await stream.response()).status == 200
        edge.connection.transport.abort()
        state = await port.client.changed()
        assert not state.connected
        assert state.last_error == "the connection to the edge was lost"


async def test_a_refusal_leaves_the_listener_at_work(pki: SitePki) -> None:
    """After many that were refused, the right one is served."""
    async with edge_port(pki) as port:
        for _ in range(20):
            await refusal(port.dial(path="/x"))
        async with port.edge(instance=INSTANCE_A):
            assert await port.client.answers(timeout_s=5)


async def test_a_stopping_provider_admits_nobody(pki: SitePki) -> None:
    """Whoever comes during the drain is sent away."""
    async with edge_port(pki) as port:
        await port.site_session.drain(deadline_s=0)
        assert (await refusal(port.dial()))[0] == 503


async def test_a_provider_that_waits_for_its_turn_admits_nobody(pki: SitePki) -> None:
    """Its ports are open, but there is nobody who keeps sessions."""
    async with FakeAPIServer() as api, api.client() as kube:
        put_site(api)
        put_secrets(api, pki.secrets())
        port = EdgePort(pki, api, kube)
        await port.trust.load()
        await port.listener.listen(host="127.0.0.1", port=0)
        try:
            assert (await refusal(port.dial())) == (503, "Unavailable")
        finally:
            await port.listener.shutdown(timeout_s=1)
