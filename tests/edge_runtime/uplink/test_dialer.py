"""Dialling a real WebSocket server over real TLS on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING

import pytest

from edge_runtime.uplink.backoff import Backoff
from edge_runtime.uplink.credentials import Credentials
from edge_runtime.uplink.dial import ProviderDial
from edge_runtime.uplink.dialer import Dialer
from tests.fakes.site_pki import SitePki
from tests.fakes.tunnel_pair import read_all
from tests.fakes.tunnel_provider import tunnel_provider
from tunnel.errors import SessionClosed, StreamReset
from tunnel.identity import SiteName
from tunnel.protocol import (
    INSTANCE_HEADER,
    SESSION_HEADER,
    TUNNEL_PATH,
    RequestHead,
    ResponseHead,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from tunnel.session import Session
    from tunnel.stream import Stream

INSTANCE = "a" * 32


@pytest.fixture
def pki(tmp_path: Path) -> SitePki:
    """A site's certificates."""
    return SitePki(tmp_path, site="site-a")


async def echo(stream: Stream) -> None:
    """Answer with the path, then with what comes."""
    await stream.respond(ResponseHead(status=200))
    await stream.write(stream.request.path.encode())
    while data := await stream.read():
        await stream.write(data)
    await stream.close_write()


def dial_to(port: int, held: Credentials, timeout_s: float = 2.0) -> ProviderDial:
    """Dial loopback."""
    return ProviderDial(
        server=("127.0.0.1", port), credentials=held, instance_id=INSTANCE, timeout_s=timeout_s
    )


def dialer(
    port: int, held: Credentials, handler: Callable[[Stream], Awaitable[None]] = echo
) -> Dialer:
    """Dial loopback with short delays."""
    return Dialer(
        dial=dial_to(port, held),
        handler=handler,
        backoff=Backoff(base_s=0.01, max_s=0.02),
    )


@contextlib.asynccontextmanager
async def running(dialing: Dialer) -> AsyncIterator[Dialer]:
    """Run a dialer until the block ends."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(dialing.run())
        try:
            async with asyncio.timeout(20):
                yield dialing
        finally:
            task.cancel()


class Problems(logging.Handler):
    """The sentences that the dialer logs, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: asyncio.Queue[str] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the reason of a record that has one."""
        if hasattr(record, "reason"):
            self.queue.put_nowait(str(record.reason))


@pytest.fixture
def problems() -> Iterator[Problems]:
    """Listen to the dialer's log."""
    handler = Problems()
    logger = logging.getLogger("edge_runtime.uplink.dialer")
    logger.addHandler(handler)
    yield handler
    logger.removeHandler(handler)


async def problem(dialing: Dialer, problems: Problems) -> str:
    """Run until the first problem is logged and return its sentence."""
    async with running(dialing):
        return await problems.queue.get()


async def open_until_refused(session: Session) -> None:
    """Open streams until the edge's stop is known here."""
    while True:
        stream = await session.open(RequestHead(method="GET", path="/late"))
        with contextlib.suppress(StreamReset):
            await stream.response()
        stream.reset()


async def fetch(session: Session, path: str, body: bytes) -> bytes:
    """Ask the edge through its tunnel."""
    stream = await session.open(RequestHead(method="POST", path=path))

    async def send() -> None:
        await stream.write(body)
        await stream.close_write()

    async with asyncio.TaskGroup() as group:
        group.create_task(send())
        received = group.create_task(read_all(stream))
    return received.result()


async def test_provider_calls_the_edge_through_the_tunnel(pki: SitePki) -> None:
    """The edge dialled; the calls come down. A megabyte goes both ways."""
    body = bytes(1 << 20)
    async with tunnel_provider(pki) as fake, running(dialer(fake.port, pki.credentials())):
        session = await fake.sessions.get()
        received = await fetch(session, "/hello", body)

    request = fake.requests[0]
    assert received == b"/hello" + body
    assert request.path == TUNNEL_PATH
    assert request.headers[INSTANCE_HEADER] == INSTANCE
    assert "Sec-WebSocket-Extensions" not in request.headers
    assert "User-Agent" not in request.headers


async def test_tunnel_is_tls_for_the_sites_name_with_its_certificate(pki: SitePki) -> None:
    """Both ends are authenticated, with TLS 1.3."""
    async with tunnel_provider(pki) as fake, running(dialer(fake.port, pki.credentials())):
        await fake.sessions.get()
        tls = fake.connections[0].transport.get_extra_info("ssl_object")

    subject = dict(pair for name in tls.getpeercert()["subject"] for pair in name)
    assert tls.version() == "TLSv1.3"
    assert subject["commonName"] == "system:node:site-a"


async def test_lost_connection_is_dialled_again(pki: SitePki) -> None:
    """With the certificate that lies on disk then."""
    async with tunnel_provider(pki) as fake, running(dialer(fake.port, pki.credentials())):
        await fake.sessions.get()
        pki.issue_client(site="site-a")
        fake.connections[0].transport.abort()
        session = await fake.sessions.get()
        received = await fetch(session, "/again", b"")

    serials = [
        connection.transport.get_extra_info("ssl_object").getpeercert()["serialNumber"]
        for connection in fake.connections
    ]
    assert received == b"/again"
    assert serials[0] != serials[1]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("text", "the provider sent a text message"),
        (bytes((64 << 10) + 1), "the WebSocket was closed with code 1009"),
    ],
)
async def test_message_that_is_none_ends_the_tunnel(
    pki: SitePki, problems: Problems, message: str | bytes, said: str
) -> None:
    """And the next one begins anew."""
    async with tunnel_provider(pki) as fake, running(dialer(fake.port, pki.credentials())):
        await fake.sessions.get()
        await fake.connections[0].send(message)
        reason = await problems.queue.get()
        received = await fetch(await fake.sessions.get(), "/again", b"")

    assert reason.startswith(said)
    assert received == b"/again"


async def test_drain_lets_running_streams_end_then_returns(pki: SitePki) -> None:
    """A planned stop."""
    async with tunnel_provider(pki) as fake:
        dialing = dialer(fake.port, pki.credentials())
        async with asyncio.TaskGroup() as group:
            group.create_task(dialing.run())
            session = await fake.sessions.get()
            stream = await session.open(RequestHead(method="GET", path="/last"))
            await stream.response()
            draining = group.create_task(dialing.drain(deadline_s=5))
            with pytest.raises(SessionClosed):
                await open_until_refused(session)
            await stream.write(b"more")
            await stream.close_write()
            received = await read_all(stream)
            await draining

    assert received == b"/lastmore"
    assert len(fake.connections) == 1


async def test_stream_that_outlives_the_drain_gets_an_error(pki: SitePki) -> None:
    """Never an end that reads as success."""
    async with tunnel_provider(pki) as fake:
        dialing = dialer(fake.port, pki.credentials())
        async with asyncio.TaskGroup() as group:
            group.create_task(dialing.run())
            session = await fake.sessions.get()
            stream = await session.open(RequestHead(method="GET", path="/long"))
            await stream.response()
            await stream.read()
            group.create_task(dialing.drain(deadline_s=0.05))
            with pytest.raises(SessionClosed, match="stopp"):
                await stream.read()


async def test_drain_ends_a_dialer_that_never_connected(pki: SitePki) -> None:
    """It is not kept waiting by a back-off."""
    dialing = Dialer(
        dial=dial_to(1, pki.credentials()),
        handler=echo,
        backoff=Backoff(base_s=600, max_s=600),
        chance=lambda: 0.0,
    )
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(dialing.run())
        await asyncio.sleep(0)
        await dialing.drain(deadline_s=1)


async def test_certificate_of_another_site_is_said(pki: SitePki, problems: Problems) -> None:
    """The name in it is not ours."""
    pki.issue_server("provider.site-b.edgelet.internal")
    async with tunnel_provider(pki) as fake:
        said = await problem(dialer(fake.port, pki.credentials()), problems)

    assert said == (
        f"the certificate of 127.0.0.1:{fake.port} is not for "
        "provider.site-a.edgelet.internal: is it another site's?"
    )


async def test_certificate_of_another_ca_is_said(
    pki: SitePki, tmp_path: Path, problems: Problems
) -> None:
    """Somebody else answers at that address."""
    other = SitePki(tmp_path / "other", site="site-a")
    async with tunnel_provider(other) as fake:
        said = await problem(dialer(fake.port, pki.credentials()), problems)

    assert said == (
        f"the certificate of 127.0.0.1:{fake.port} is not signed by the CA in {pki.ca_file}"
    )


async def test_refused_client_certificate_is_said(
    pki: SitePki, tmp_path: Path, problems: Problems
) -> None:
    """With TLS 1.3 the refusal comes after our handshake."""
    other = SitePki(tmp_path / "other", site="site-a")
    held = Credentials(
        site=SiteName("site-a"),
        ca_file=str(pki.ca_file),
        identity_file=str(other.identity_file),
    )
    async with tunnel_provider(pki) as fake:
        said = await problem(dialer(fake.port, held), problems)

    assert "perhaps it refuses our certificate" in said


async def test_nobody_there_is_said_once(pki: SitePki, problems: Problems) -> None:
    """However often it is tried."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        dials: asyncio.Queue[None] = asyncio.Queue()

        def chance() -> float:
            dials.put_nowait(None)
            return 0.5

        dialing = Dialer(
            dial=dial_to(port, pki.credentials()),
            handler=echo,
            backoff=Backoff(base_s=0.001, max_s=0.001),
            chance=chance,
        )
        async with running(dialing):
            for _ in range(5):
                await dials.get()

    assert problems.queue.get_nowait() == f"nobody listens on 127.0.0.1:{port}"
    assert problems.queue.empty()


@pytest.mark.parametrize("status", [503, 302, 200])
async def test_refusal_of_the_upgrade_is_said(
    pki: SitePki, problems: Problems, status: int
) -> None:
    """With its text; a redirect is followed nowhere, and a captive portal is no cloud."""
    async with tunnel_provider(pki) as fake:
        fake.answer = (status, "another replica holds the lease")
        said = await problem(dialer(fake.port, pki.credentials()), problems)

    assert said == (f"127.0.0.1:{fake.port} answered {status}: another replica holds the lease")


async def test_other_subprotocol_is_refused(pki: SitePki, problems: Problems) -> None:
    """An older or newer provider."""
    async with tunnel_provider(pki, subprotocol="edgelet.h9.v9") as fake:
        said = await problem(dialer(fake.port, pki.credentials()), problems)

    assert fake.sessions.empty()
    assert said


async def test_answer_without_a_session_is_refused(pki: SitePki, problems: Problems) -> None:
    """There would be nothing to resume."""
    async with tunnel_provider(pki) as fake:
        fake.gives_sessions = False
        said = await problem(dialer(fake.port, pki.credentials()), problems)

    assert said == f"the provider's answer has no usable {SESSION_HEADER}"


async def test_proxy_that_cannot_be_used_is_said(
    pki: SitePki, problems: Problems, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The edge goes on trying; whoever set it can change it."""
    monkeypatch.setenv("https_proxy", "socks5://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)

    said = await problem(dialer(1, pki.credentials()), problems)

    assert "SOCKS proxy" in said


async def test_silent_server_is_given_up(pki: SitePki, problems: Problems) -> None:
    """A dial that hangs must not keep the edge from trying again."""
    held: list[asyncio.StreamWriter] = []

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    dialing = Dialer(
        dial=dial_to(port, pki.credentials(), timeout_s=0.1),
        handler=echo,
        backoff=Backoff(base_s=0.01, max_s=0.01),
    )
    async with server:
        said = await problem(dialing, problems)
    for writer in held:
        writer.transport.abort()

    assert said == f"no answer from 127.0.0.1:{port} in time"


async def test_missing_certificate_is_said_and_tried_again(
    pki: SitePki, problems: Problems
) -> None:
    """A renewal may be under way."""
    kept = pki.identity_file.read_bytes()
    pki.identity_file.unlink()
    async with tunnel_provider(pki) as fake, running(dialer(fake.port, pki.credentials())):
        said = await problems.queue.get()
        pki.identity_file.write_bytes(kept)
        await fake.sessions.get()

    assert said == f"cannot read {pki.identity_file}: No such file or directory"


async def test_final_refusal_is_said_with_what_to_do(pki: SitePki, problems: Problems) -> None:
    """Once, and it is not tried again soon."""
    refusal = '{"reason": "CertificateRevoked", "message": "revoked at noon"}'
    delays: list[bool] = []
    more: asyncio.Queue[None] = asyncio.Queue()

    class Noted(Backoff):
        def next_delay_s(
            self, *, now: float, chance: float, resumable: bool = False, is_final: bool = False
        ) -> float:
            delays.append(is_final)
            more.put_nowait(None)
            return super().next_delay_s(
                now=now, chance=chance, resumable=resumable, is_final=is_final
            )

    async with tunnel_provider(pki) as fake:
        fake.answer = (403, refusal)
        dialing = Dialer(
            dial=dial_to(fake.port, pki.credentials()),
            handler=echo,
            backoff=Noted(base_s=0.001, max_s=0.001, final_max_s=0.001),
        )
        async with running(dialing):
            said = await problems.queue.get()
            while len(delays) < 3:
                await more.get()

    assert said == (
        "revoked at noon: if this machine is to come back, join it anew with --force and a new "
        "token"
    )
    assert problems.queue.empty()
    assert all(delays)


class WrittenDown(Backoff):
    """Writes its delays down, and hands out short ones of the same proportions."""

    def __init__(self) -> None:
        super().__init__(base_s=1.0, max_s=64.0, recent_max_s=64.0)
        self.delays: list[float] = []

    def next_delay_s(
        self, *, now: float, chance: float, resumable: bool = False, is_final: bool = False
    ) -> float:
        """Write one down."""
        delay_s = super().next_delay_s(
            now=now, chance=chance, resumable=resumable, is_final=is_final
        )
        self.delays.append(delay_s)
        return delay_s / 1000.0


async def test_provider_that_fails_behind_its_101_is_dialled_ever_more_seldom(
    pki: SitePki,
) -> None:
    """Until a connection carries something: then a loss is answered quickly again."""
    backoff = WrittenDown()
    async with tunnel_provider(pki) as fake:
        dialing = Dialer(
            dial=dial_to(fake.port, pki.credentials()),
            handler=echo,
            backoff=backoff,
            chance=lambda: 0.0,
        )
        async with running(dialing):
            for number in range(5):
                await fake.sessions.get()
                fake.connections[number].transport.abort()
            session = await fake.sessions.get()
            assert backoff.delays == [1.0, 2.0, 4.0, 8.0, 16.0]
            assert await fetch(session, "/works", bytes(1024)) == b"/works" + bytes(1024)
            fake.connections[5].transport.abort()
            await fake.sessions.get()
    assert backoff.delays[5] == 1.0


async def test_wait_between_dials_can_be_ended(pki: SitePki, problems: Problems) -> None:
    """By a new certificate, which nobody has refused yet."""
    async with tunnel_provider(pki) as fake:
        fake.answer = (503, "not yet")
        dialing = Dialer(
            dial=dial_to(fake.port, pki.credentials()),
            handler=echo,
            backoff=Backoff(base_s=3600, max_s=3600),
            chance=lambda: 0.0,
        )
        async with running(dialing):
            await problems.queue.get()
            fake.answer = None
            dialing.dial_now()
            await fake.sessions.get()
