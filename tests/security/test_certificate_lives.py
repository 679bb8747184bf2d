"""Certificates that live for seconds: both real ends over TLS, and work that goes on through it.

The lives are scaled: EDGELET_CERTIFICATE_LIFE_S=120 EDGELET_LIVES_S=600 is the long run of
``make soak``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from typing import TYPE_CHECKING

import pytest

from edge_runtime.uplink.backoff import Backoff
from edge_runtime.uplink.dial import ProviderDial
from edge_runtime.uplink.dialer import Dialer
from edge_runtime.uplink.enrolment import Enrolment
from edge_runtime.uplink.enrolment_error import EnrolmentError, Trouble
from edge_runtime.uplink.identity_files import IdentityFiles
from edge_runtime.uplink.join import Join
from edge_runtime.uplink.joined_edge import JoinedEdge, open_joined_edge
from edge_runtime.uplink.renewal import Renewal
from provider.trust.site_trust import TrustSettings
from tests.fakes.session_pair import GET, echo, read_all
from tests.fakes.trusted_edge_port import TrustedEdgePort, trusted_edge_port
from tunnel.identity import parse_site_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

SITE = parse_site_name("site-a")
LIFE_S = float(os.environ.get("EDGELET_CERTIFICATE_LIFE_S", "5"))
RUN_S = float(os.environ.get("EDGELET_LIVES_S", "25"))
# In a life, so many calls are made and so many connections are cut.
CALLS_IN_A_LIFE = 20
CUTS_IN_A_LIFE = 2
pytestmark = pytest.mark.timeout(RUN_S + 120)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxy this machine has."""
    monkeypatch.setenv("no_proxy", "*")


def settings(*, life_s: float, grace_s: float = 3600.0) -> TrustSettings:
    """Make the provider's settings: its own certificate is as short-lived as the edge's."""
    return TrustSettings(
        namespace=f"edgelet-{SITE}",
        certificate_lifetime_s=life_s,
        recovery_grace_s=grace_s,
        serving_lifetime_s=life_s * 2,
    )


class Edge:
    """An edge that has joined: the real dialer and the real renewal.

    Attributes:
        joined: Its identity.
        serials: Of each certificate that it had, in their order.
    """

    def __init__(self, joined: JoinedEdge) -> None:
        self.joined = joined
        self.serials = [joined.credentials.facts().serial]
        self.dialer = Dialer(
            dial=ProviderDial(
                server=joined.server, credentials=joined.credentials, instance_id="a" * 32
            ),
            handler=echo,
            backoff=Backoff(base_s=0.05, max_s=0.2, recent_max_s=0.2),
        )
        self.renewal = Renewal(
            credentials=joined.credentials,
            files=joined.files,
            enrolment=Enrolment(server=joined.server),
            renewed=self._renewed,
        )

    def _renewed(self) -> None:
        self.serials.append(self.joined.credentials.facts().serial)
        self.dialer.dial_now()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run both until the block ends."""
        async with asyncio.TaskGroup() as tasks:
            loops = [tasks.create_task(self.dialer.run()), tasks.create_task(self.renewal.run())]
            try:
                yield
            finally:
                for loop in loops:
                    loop.cancel()


async def join(port: TrustedEdgePort, root: Path, **options: bool) -> Edge:
    """Join as the command does."""
    made = await port.administration.create_token(ttl_s=600.0, **options)
    await join_with(port, root, made.token)
    return Edge(open_joined_edge(root, server=None))


async def join_with(
    port: TrustedEdgePort, root: Path, token: object, *, force: bool = False
) -> None:
    """Join with a token."""
    server = ("127.0.0.1", port.listener.port)
    await Join(
        token=token,  # type: ignore[arg-type]
        enrolment=Enrolment(server=server),
        files=IdentityFiles(root),
        server=f"{server[0]}:{server[1]}",
        force=force,
    ).run()


class Errors(logging.Handler):
    """Keeps what is logged as an error, and tells of it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []
        self.come = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.messages.append(f"{record.getMessage()}: {record.__dict__.get('reason')}")
        self.come.set()


@contextlib.contextmanager
def logged_errors() -> Iterator[Errors]:
    """Listen to the edge until the block ends."""
    errors = Errors()
    logger = logging.getLogger("edge_runtime")
    logger.addHandler(errors)
    try:
        yield errors
    finally:
        logger.removeHandler(errors)


async def call(port: TrustedEdgePort) -> None:
    """Make a call as the API server does."""
    stream = await port.client.open(GET)
    await stream.close_write()
    assert await read_all(stream) == b""


async def test_work_goes_on_through_many_certificate_lives(tmp_path: Path) -> None:
    """One stream over all of them, calls beside it, and connections that are cut on the way."""
    async with trusted_edge_port(settings=settings(life_s=LIFE_S)) as port:
        edge = await join(port, tmp_path)
        async with edge.running():
            await port.client.wait_connected()
            begun, calls = time.monotonic(), 0
            session = port.client.state.session_id_hash
            stream = await port.client.open(GET)
            while time.monotonic() - begun < RUN_S:
                line = f"{calls}\n".encode()
                await stream.write(line)
                assert await stream.read() == line
                await call(port)
                calls += 1
                if calls % (CALLS_IN_A_LIFE // CUTS_IN_A_LIFE) == 0:
                    port.session._present.session.detach("cut by the test")  # type: ignore[union-attr]
                await asyncio.sleep(LIFE_S / CALLS_IN_A_LIFE)
            await stream.close_write()
            assert await read_all(stream) == b""
            assert port.client.state.session_id_hash == session
        assert edge.renewal._last_problem is None
    lives = int(RUN_S / LIFE_S)
    assert len(set(edge.serials)) == len(edge.serials)
    assert lives <= len(edge.serials) - 1 <= 2 * lives
    assert port.events == []
    assert calls > CALLS_IN_A_LIFE * lives / 2


async def test_expired_certificate_is_recovered_and_dialled_with(tmp_path: Path) -> None:
    """The machine was off for longer than its certificate lived."""
    async with trusted_edge_port(settings=settings(life_s=1.5)) as port:
        edge = await join(port, tmp_path)
        await asyncio.sleep(1.7)
        with pytest.raises(EnrolmentError) as refused:
            await Enrolment(server=edge.joined.server).check(edge.joined.credentials)
        assert refused.value.trouble is Trouble.HUNG_UP
        again = Edge(open_joined_edge(tmp_path, server=None))
        async with again.running():
            await port.client.wait_connected()
            await call(port)
    assert len(again.serials) >= 2


async def test_certificate_that_expired_too_long_ago_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With what to do, and it is asked again only once an hour."""
    caplog.set_level(logging.INFO)
    async with trusted_edge_port(settings=settings(life_s=3.0, grace_s=0.5)) as port:
        edge = await join(port, tmp_path)
        await asyncio.sleep(4.6)
        delays = [await edge.renewal.step() for _ in range(3)]
    assert min(delays) >= 1800
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    told = [record for record in told if record.name.startswith("edge_runtime")]
    assert [record.levelname for record in told] == ["ERROR"]
    assert Trouble.RECOVERY_TOO_LATE.remedy in str(told[0].__dict__["reason"])


async def test_revoked_edge_loses_its_session_and_is_told_once(tmp_path: Path) -> None:
    """Then a token of the replacement joins the same machine anew, and the running edge uses it."""
    async with trusted_edge_port(settings=settings(life_s=3600.0)) as port:
        edge = await join(port, tmp_path)
        with logged_errors() as errors:
            async with edge.running(), asyncio.timeout(20):
                await port.client.wait_connected()
                _, made = await port.administration.replace_site(by="the test", ttl_s=600.0)
                while port.client.state.connected:
                    await port.client.changed()
                assert "revoked" in port.client.state.last_error
                await errors.come.wait()
                await join_with(port, tmp_path, made.token, force=True)
                edge.dialer.dial_now()
                await port.client.wait_connected()
                await call(port)
    assert len(errors.messages) == 1
    assert Trouble.REVOKED.remedy in errors.messages[0]
    assert "CertificateRevoked" in port.events


async def test_copy_of_the_disk_is_refused_and_named(tmp_path: Path) -> None:
    """After the first renewal of either machine the other one's certificate is superseded."""
    async with trusted_edge_port(settings=settings(life_s=3600.0)) as port:
        edge = await join(port, tmp_path / "one")
        copy = tmp_path / "two/identity"
        copy.mkdir(parents=True)
        for path in (tmp_path / "one/identity").iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        edge.renewal._clock = lambda: time.time() + 3500.0
        assert await edge.renewal.step() == 0.0
        twin = open_joined_edge(tmp_path / "two", server=None)
        with pytest.raises(EnrolmentError, match="copy of this disk") as refused:
            await Enrolment(server=twin.server).check(twin.credentials)
        assert refused.value.is_final
        await Enrolment(server=edge.joined.server).check(edge.joined.credentials)
    assert "SupersededCertificate" in port.events


async def test_rotated_ca_reaches_a_running_edge(tmp_path: Path) -> None:
    """It knows only the old one when it renews, and both after it; its stream goes on."""
    async with trusted_edge_port(settings=settings(life_s=3600.0)) as port:
        edge = await join(port, tmp_path)
        before = edge.joined.files.ca_file.read_text()
        async with edge.running(), asyncio.timeout(30):
            await port.client.wait_connected()
            stream = await port.client.open(GET)
            changed = asyncio.Event()
            port.trust.on_change(changed.set)
            await port.administration.rotate_authority(
                certificate_lifetime_s=3600.0, recovery_grace_s=3600.0
            )
            await changed.wait()
            # The old CA alone: the chain that the server shows now leads to it.
            port.session._present.session.detach("cut by the test")  # type: ignore[union-attr]
            await stream.write(b"after")
            assert await stream.read() == b"after"
            assert edge.joined.files.ca_file.read_text() == before
            edge.renewal._clock = lambda: time.time() + 3400.0
            assert await edge.renewal.step() == 0.0
            edge.renewal._clock = time.time
            port.session._present.session.detach("cut by the test")  # type: ignore[union-attr]
            await stream.write(b"again")
            assert await stream.read() == b"again"
        after = edge.joined.files.ca_file.read_text()
        assert after.count("BEGIN CERTIFICATE") > before.count("BEGIN CERTIFICATE")
        assert before.strip() in after
