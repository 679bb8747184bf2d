"""What it costs to ask who calls the kubelet port and what they may.

The port runs here, over real TLS, in front of an edge that answers at once; it asks the
devcluster's API server, as the site's provider does. Beside it runs the same port that asks nobody,
and requests to the two take turns. Each caller keeps its connection.

warm    the API server was asked before: who calls and what they may is remembered
cold    a token that was never seen: one TokenReview and one SubjectAccessReview
"""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from benchmarks.figure import Figure, median_figure
from benchmarks.setting import NAMESPACE
from provider.kube.client import KubeClient
from provider.kube.credentials import load_kubeconfig
from provider.kubelet_api.authentication import Authenticator
from provider.kubelet_api.authorization import Authorizer
from provider.kubelet_api.server import KubeletServer
from provider.kubelet_api.token_review import TokenReviewer
from provider.kubelet_api.user import User
from provider.trust.kubelet_tls import KubeletTls
from tests.fakes.edge import connected_edge
from tests.fakes.kubelet_port import API_SERVER, Authorities, ClusterPki, Serving
from tunnel.protocol import ResponseHead

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterator, Sequence

    from aiohttp import web

    from benchmarks.setting import Setting
    from provider.edge_link.edge_client import EdgeClient
    from provider.kube.client import KubeApi
    from tunnel.identity import SiteName
    from tunnel.stream import Stream

WARM_REQUESTS = 300
COLD_REQUESTS = 30
RIGHTS_TIMEOUT_S = 10.0
ACCOUNT = "kubelet-port"
BINDING = "edgelet-bench-kubelet-port"
PATH = "/pods"
_NAME = "kubelet port, one request, {}, p50"
_BASELINE = "the same request to a port that asks nobody"


class _Anybody(Authenticator):
    """Takes every caller for the same one."""

    async def authenticate(self, request: web.BaseRequest) -> User:
        """Return that one."""
        del request
        return User(name="anybody")


class _Anything(Authorizer):
    """Lets every caller do everything."""

    async def authorize(self, user: User, *, method: str, path: str) -> None:
        """Let the caller pass."""


async def measure(setting: Setting) -> list[Figure]:
    """Measure against the devcluster's API server."""
    access = await load_kubeconfig(setting.site.root / "provider.kubeconfig")
    with _callers(setting) as tokens:
        async with KubeClient(access, site=setting.site.name) as kube:
            return await compare(kube.as_node, node_name=setting.site.name, tokens=tokens)


async def compare(
    api: KubeApi, *, node_name: SiteName, tokens: Sequence[str], warm_requests: int = WARM_REQUESTS
) -> list[Figure]:
    """Make the requests and return one figure for each kind.

    Args:
        api: Is asked who calls and what they may.
        node_name: The Node that is called.
        tokens: Of callers who may get ``nodes/pods``; none was used before.
        warm_requests: How many there are of each warm kind.
    """
    first, *others = tokens
    with tempfile.TemporaryDirectory(prefix="edgelet-bench-") as folder:
        pki = ClusterPki(Path(folder))
        tls = KubeletTls(
            serving=Serving(pki.serving_certificate()),
            authorities=Authorities(pki.ca_file.read_bytes()),
        )
        users = TokenReviewer(api)
        async with (
            connected_edge(_answer) as edge,
            _port(
                edge.client,
                tls,
                Authenticator(tokens=users, authorities=tls),
                Authorizer(api, node_name=node_name),
            ) as asking,
            _port(
                edge.client,
                tls,
                _Anybody(tokens=users, authorities=tls),
                _Anything(api, node_name=node_name),
            ) as blind,
            aiohttp.ClientSession() as session,
        ):
            ports = _Ports(session, asking=asking, blind=blind)
            token_tls, certificate_tls = pki.client_context(None), pki.client_context(API_SERVER)
            await ports.compare([first], token_tls)
            return [
                _figure(
                    "bearer token, warm", await ports.compare([first] * warm_requests, token_tls)
                ),
                _figure("bearer token, cold", await ports.compare(others, token_tls)),
                _figure(
                    "the API server's certificate, warm",
                    await ports.compare([""] * warm_requests, certificate_tls),
                ),
            ]


class _Ports:
    """The two ports, and requests that take turns between them."""

    def __init__(self, session: aiohttp.ClientSession, *, asking: int, blind: int) -> None:
        self._session = session
        self._asking = asking
        self._blind = blind

    async def compare(
        self, tokens: Sequence[str], tls: ssl.SSLContext
    ) -> tuple[list[float], list[float]]:
        """Make one request with each token to either port and return how long they took, ms."""
        asking_ms, blind_ms = [], []
        for token in tokens:
            asking_ms.append(await self._request_ms(self._asking, token, tls))
            blind_ms.append(await self._request_ms(self._blind, token, tls))
        return asking_ms, blind_ms

    async def _request_ms(self, port: int, token: str, tls: ssl.SSLContext) -> float:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        started = time.perf_counter()
        url = f"https://127.0.0.1:{port}{PATH}"
        async with self._session.get(url, headers=headers, ssl=tls) as answer:
            body = await answer.read()
        took_ms = (time.perf_counter() - started) * 1000
        assert answer.status == 200, f"{answer.status}: {body!r}"
        return took_ms


def _figure(kind: str, series_ms: tuple[list[float], list[float]]) -> Figure:
    return median_figure(_NAME.format(kind), *series_ms, unit="ms", baseline_name=_BASELINE)


async def _answer(stream: Stream) -> None:
    await stream.respond(ResponseHead(status=200, headers=(("content-type", "text/plain"),)))
    await stream.write(b"ok")
    await stream.close_write()


@contextlib.asynccontextmanager
async def _port(
    edge: EdgeClient, tls: KubeletTls, authenticator: Authenticator, authorizer: Authorizer
) -> AsyncIterator[int]:
    """Serve a port and yield its number."""
    server = KubeletServer(
        edge=edge, authenticator=authenticator, authorizer=authorizer, context=tls.context
    )
    await server.listen(host="127.0.0.1", port=0)
    try:
        yield server.port
    finally:
        await server.shutdown(timeout_s=1)


@contextlib.contextmanager
def _callers(setting: Setting) -> Iterator[list[str]]:
    """Let one account, and the API server's name, call nodes; yield tokens of the account."""
    account = ("--namespace", NAMESPACE, ACCOUNT)
    setting.kubectl("create", "serviceaccount", *account)
    setting.kubectl(
        *("create", "clusterrolebinding", BINDING, "--clusterrole=system:kubelet-api-admin"),
        *(f"--serviceaccount={NAMESPACE}:{ACCOUNT}", f"--user={API_SERVER}"),
    )
    try:
        _wait_for_rights(setting)
        yield [
            setting.kubectl("create", "token", *account).decode().strip()
            for _ in range(COLD_REQUESTS + 1)
        ]
    finally:
        setting.kubectl("delete", "clusterrolebinding", BINDING, "--ignore-not-found")


def _wait_for_rights(setting: Setting) -> None:
    """Wait until the API server's authorizer has heard of the binding."""
    user = f"--as=system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
    deadline = time.monotonic() + RIGHTS_TIMEOUT_S
    while True:
        try:
            setting.kubectl("auth", "can-i", "get", "nodes/pods", user)
        except subprocess.CalledProcessError:
            if time.monotonic() > deadline:
                raise
        else:
            return
