"""An edge port with the site's real trust from its first start on, an operator, and machines."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from provider.edge_link.edge_client import EdgeClient
from provider.edge_link.listener import EdgeListener
from provider.edge_link.site_session import SiteSession
from provider.kube.timestamps import utc_now
from provider.trust.secret_store import SecretStore
from provider.trust.site_administration import SiteAdministration
from provider.trust.site_trust import SiteTrust, TrustSettings
from tests.fakes.edge_requests import Answer, ask, csr_pem, forge, key_pem, new_key
from tests.fakes.fake_api_server import FakeAPIServer
from tests.fakes.site_objects import put_site, secret_data
from tunnel.enrolment import CERTIFICATE_PATH
from tunnel.identity import SiteName, parse_site_name, provider_dns_name
from tunnel.protocol import INSTANCE_HEADER, TUNNEL_PATH, TUNNEL_SUBPROTOCOL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from cryptography.hazmat.primitives.asymmetric import ec

    from provider.kube.client import KubeClient

INSTANCE = "a" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A key and, once it joined, its certificate (PEM)."""

    key: ec.EllipticCurvePrivateKey
    certificate: bytes = b""

    def holds(self, certificate: str | bytes) -> Machine:
        """Return the machine with another certificate for the same key."""
        pem = certificate.encode() if isinstance(certificate, str) else certificate
        return Machine(key=self.key, certificate=pem)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Show the certificate in this context's handshakes."""
        with TemporaryDirectory() as folder:
            file = Path(folder) / "identity.pem"
            file.write_bytes(key_pem(self.key) + self.certificate)
            context.load_cert_chain(file)


class TrustedEdgePort:
    """A running port.

    Attributes:
        api: Where the site's Secrets are.
        trust: Decides.
        administration: What an operator does.
        client: What the front doors get.
        events: Reasons of the events that were reported.
    """

    def __init__(
        self,
        api: FakeAPIServer,
        kube: KubeClient,
        *,
        site: SiteName,
        settings: TrustSettings | None = None,
    ) -> None:
        self.api = api
        self.site = site
        self.events: list[str] = []
        namespace = f"edgelet-{site}"
        self.client = EdgeClient(site=site)
        self.session = SiteSession(edge_client=self.client, report=self._report)
        self._change = asyncio.Event()
        self.trust = SiteTrust(
            api=kube.as_self,
            site=site,
            settings=settings or TrustSettings(namespace=namespace),
            report=self._report,
            now=utc_now,
        )
        self.trust.on_change(self._told)
        store = SecretStore(kube.as_self, namespace=namespace)
        self.administration = SiteAdministration(store, site=site, now=utc_now)
        self.listener = EdgeListener(
            site=site, site_session=self.session, trust=self.trust, monotonic=time.monotonic
        )

    def _report(self, *, reason: str, message: str) -> None:
        del message
        self.events.append(reason)

    def _told(self) -> None:
        self._change.set()
        self._change = asyncio.Event()

    @property
    def name(self) -> str:
        """The provider's name."""
        return provider_dns_name(self.site)

    def secret(self, name: str) -> dict[str, bytes]:
        """Return what a Secret holds now."""
        return secret_data(self.api, name, site=self.site)

    def tls(self, machine: Machine | None = None, *, ca_pem: bytes | None = None) -> ssl.SSLContext:
        """Make a client's context, which expects this site's CA."""
        trusted = ca_pem or self.secret("edgelet-site-ca")["ca.crt"]
        context = ssl.create_default_context(cadata=trusted.decode())
        if machine is not None and machine.certificate:
            machine.load_into(context)
        return context

    def forged(self, machine: Machine, **changes: Any) -> Machine:  # noqa: ANN401
        """Give a machine a certificate of the site's CA that nobody issued."""
        authority = self.secret("edgelet-site-ca")
        pem = forge(
            ca_pem=authority["ca.crt"], ca_key_pem=authority["ca.key"], key=machine.key, **changes
        )
        return machine.holds(pem)

    async def ask(
        self,
        method: str,
        path: str,
        *,
        machine: Machine | None = None,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        **options: Any,  # noqa: ANN401
    ) -> Answer:
        """Send one request, with the machine's certificate if it has one."""
        given = {"context": self.tls(machine), "name": self.name, **options}
        return await ask(self.listener.port, method, path, headers=headers, body=body, **given)

    async def token(self, **options: Any) -> str:  # noqa: ANN401
        """Make a join token, as the operator does, and return its JWT."""
        made = await self.administration.create_token(**{"ttl_s": 3600.0, **options})
        return made.token.jwt

    async def join(
        self,
        machine: Machine,
        jwt: str,
        *,
        csr: bytes | None = None,
        source: str = "127.0.0.1",
    ) -> Answer:
        """Ask for a certificate with a token."""
        return await self.ask(
            "POST",
            CERTIFICATE_PATH,
            headers=[("Authorization", f"Bearer {jwt}")],
            body=csr_pem(machine.key) if csr is None else csr,
            source=source,
        )

    async def joined(self) -> Machine:
        """Return a machine that has joined."""
        machine = Machine(key=new_key())
        answer = await self.join(machine, await self.token())
        return machine.holds(answer.issued.certificate)

    async def renew(self, machine: Machine, *, key: ec.EllipticCurvePrivateKey) -> Answer:
        """Ask for the next certificate of a machine."""
        return await self.ask("POST", CERTIFICATE_PATH, machine=machine, body=csr_pem(key))

    async def changed_to(self, condition: Callable[[], bool]) -> None:
        """Wait, for 5 s at most, until what the Secrets hold fulfils a condition."""
        async with asyncio.timeout(5):
            while not condition():
                await self._change.wait()

    def dial(self, machine: Machine | None, *, path: str = TUNNEL_PATH, **headers: str) -> connect:
        """Open a tunnel as an edge does; underscores in names of headers are hyphens."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return connect(
            f"wss://127.0.0.1:{self.listener.port}{path}",
            ssl=self.tls(machine),
            server_hostname=self.name,
            subprotocols=[Subprotocol(TUNNEL_SUBPROTOCOL)],
            additional_headers={INSTANCE_HEADER: INSTANCE, **more},
            compression=None,
            proxy=None,
            ping_interval=None,
            close_timeout=1,
        )

    async def dial_refused(
        self, machine: Machine | None, *, path: str = TUNNEL_PATH, **headers: str
    ) -> Answer:
        """Return the answer to a dial that gets no tunnel."""
        try:
            async with self.dial(machine, path=path, **headers):
                pass
        except InvalidStatus as exc:
            fields = {key.lower(): value for key, value in exc.response.headers.raw_items()}
            status, body = exc.response.status_code, bytes(exc.response.body or b"")
            return Answer(status=status, headers=fields, body=body)
        raise AssertionError("the tunnel was opened")


def recovery_header(signature: bytes) -> tuple[str, str]:
    """Return the header that proves an expired certificate's key."""
    return "Edgelet-Recovery", base64.b64encode(signature).decode()


@contextlib.asynccontextmanager
async def trusted_edge_port(
    *, site: str = "site-a", settings: TrustSettings | None = None
) -> AsyncIterator[TrustedEdgePort]:
    """Serve a site that was just made until the block is left."""
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(FakeAPIServer())
        put_site(server, site)
        name = parse_site_name(site)
        kube = await stack.enter_async_context(server.client(site))
        port = TrustedEdgePort(server, kube, site=name, settings=settings)
        await port.trust.load()
        tasks = await stack.enter_async_context(asyncio.TaskGroup())
        watching = tasks.create_task(port.trust.run())
        tasks.create_task(port.session.run())
        await port.listener.listen(host="127.0.0.1", port=0)
        try:
            yield port
        finally:
            port.listener.stop_accepting()
            await port.session.drain(deadline_s=0)
            await port.listener.shutdown(timeout_s=1)
            watching.cancel()
