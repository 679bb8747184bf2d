"""What configuration costs a site's link: 100 pods that share 10 ConfigMaps.

The provider's controllers, the tunnel's sessions and the edge's pod machinery are the real ones, in
one process; the API server and the container runtime are stand-ins. Beyond the pods themselves (the
pods, their statuses and events, what Hello and Ack say of them) everything counts: objects,
Services, and what Hello and Ack say of those. A token is its pod's own, and is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from benchmarks.figure import Figure
from provider.edge_link.edge_client import EdgeClient
from provider.pods.pod_controller import PodController
from provider.pods.pod_dependencies import PodDependencies
from provider.pods.status_writer import StatusWriter
from provider.pods.sync_stream import SyncOutbox
from provider.telemetry.sync_traffic import SyncTraffic
from tests.fakes.edge_api import EdgeApi, edge_api
from tests.fakes.edge_port import SITE
from tests.fakes.fake_api_server import FakeAPIServer
from tunnel.sync import (
    SYNC_PATH,
    SYNC_PROTOCOL,
    Ack,
    EventAck,
    Hello,
    NodePut,
    ObjectForget,
    ObjectPut,
    ServicesPut,
    TokenPut,
    TokenWant,
    encode_message,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from provider.kube.client import KubeClient
    from tunnel.sync import FromEdge, FromProvider

Json = dict[str, Any]

PODS: Final = 100
CONFIG_MAPS: Final = 10
CONFIG_MAP_BYTES: Final = 4096
COLD_TARGET_BYTES: Final = 100_000
RECONNECT_TARGET_BYTES: Final = 10_000
NAMESPACE = "shop"
_PODS_PATH = f"/api/v1/namespaces/{NAMESPACE}/pods"
_IMAGE = "busybox:1"
# As admission puts them into every pod.
_API_ACCESS: Final[list[Json]] = [
    {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
    {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
    {
        "downwardAPI": {
            "items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]
        }
    },
]
_CA_BYTES = 1100
_TOKEN_BYTES = 1200
_TIMEOUT_S = 120.0
# Nothing went either way for so long: all that follows from a start has been said.
_QUIET_S = 1.0
_TOKENS = (TokenWant, TokenPut)
_CONFIGURATION = (ObjectPut, ObjectForget, ServicesPut)


@dataclass(slots=True)
class Cost:
    """Bytes of messages, both ways.

    Attributes:
        configuration: Beyond the pods themselves.
        tokens: What pods' tokens took.
        pods: All the rest.
    """

    configuration: int = 0
    tokens: int = 0
    pods: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.configuration + self.tokens + self.pods


class Tally(SyncTraffic):
    """Counts by what messages are about; ``begin`` starts anew."""

    def __init__(self) -> None:
        super().__init__()
        self.cost = Cost()

    def begin(self) -> None:
        """Count from here."""
        self.cost = Cost()

    def sent(self, message: FromProvider, *, size_bytes: int) -> None:
        """Count what went down."""
        super().sent(message, size_bytes=size_bytes)
        self._add(message, size_bytes)

    def received(self, message: FromEdge, *, size_bytes: int) -> None:
        """Count what came up."""
        super().received(message, size_bytes=size_bytes)
        self._add(message, size_bytes)

    def _add(self, message: FromProvider | FromEdge, size_bytes: int) -> None:
        if isinstance(message, Hello):
            plain = msgspec.structs.replace(message, objects={}, services={})
            without = msgspec.structs.replace(plain, tokens={})
            self.cost.configuration += size_bytes - len(encode_message(plain))
            self.cost.tokens += len(encode_message(plain)) - len(encode_message(without))
            self.cost.pods += len(encode_message(without))
        elif isinstance(message, _CONFIGURATION) or _is_about_object(message):
            self.cost.configuration += size_bytes
        elif isinstance(message, _TOKENS):
            self.cost.tokens += size_bytes
        else:
            self.cost.pods += size_bytes


def _is_about_object(message: FromProvider | FromEdge) -> bool:
    return isinstance(message, Ack) and "/" in message.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What was measured.

    Attributes:
        cold: An edge that holds nothing gets all of it.
        reconnect: The same edge comes back to the same provider, and nothing has changed.
        takeover: Another provider takes over, which knows nothing of the edge.
    """

    cold: Cost
    reconnect: Cost
    takeover: Cost


async def measure() -> list[Figure]:
    """Return a figure for each case, beside what the pods themselves took in the same run."""
    costs = await measure_costs(pods=PODS)
    return [
        _figure("cold start", costs.cold, target=COLD_TARGET_BYTES),
        _figure("reconnect", costs.reconnect, target=RECONNECT_TARGET_BYTES),
        _figure("another provider", costs.takeover, target=RECONNECT_TARGET_BYTES),
    ]


def _figure(case: str, cost: Cost, *, target: int) -> Figure:
    return Figure(
        name=f"{PODS} pods, {CONFIG_MAPS} ConfigMaps: {case}",
        value=cost.configuration / 1000,
        baseline=cost.pods / 1000,
        unit="kB",
        baseline_name="the pods themselves",
        spread=f"target {target / 1000:g}; tokens {cost.tokens / 1000:.1f}",
    )


async def measure_costs(*, pods: int) -> Costs:
    """Run pods that share ConfigMaps on an edge, then let it come back twice."""
    with tempfile.TemporaryDirectory(prefix="edgelet-bench-") as folder:
        async with (
            FakeAPIServer() as server,
            server.client(SITE) as kube,
            edge_api(Path(folder)) as edge,
        ):
            _fill(server, pods=pods)
            edge.cri.add_image(_IMAGE)
            tally = Tally()
            async with _connected(kube, edge, tally):
                await _until(server, lambda found: _phase(found) == "Running", count=pods)
                cold = await _settled(tally)
                await _break_stream(edge)
                reconnect = await _settled(tally)
            async with _connected(kube, edge, tally):
                takeover = await _settled(tally)
                # What is mounted goes with the pods.
                await _delete_pods(server)
            return Costs(cold=cold, reconnect=reconnect, takeover=takeover)


@contextlib.asynccontextmanager
async def _connected(kube: KubeClient, edge: EdgeApi, tally: Tally) -> AsyncIterator[None]:
    """Run a provider that has just started, connected to the edge."""
    client, outbox = EdgeClient(site=SITE), SyncOutbox()
    writer = StatusWriter(kube.as_node, send=outbox.put)
    dependencies = PodDependencies(kube.node_objects, send=outbox.put)
    controller = PodController(
        api=kube.as_node,
        edge=client,
        node_name=SITE,
        outbox=outbox,
        status_writer=writer,
        dependencies=dependencies,
        on_node_report=lambda _: None,
        on_event=lambda event: outbox.put(EventAck(id=event.id)),
        traffic=tally,
    )
    controller.put_node(NodePut(revision="1", name=SITE))
    client.session_attached(edge.pair.client, session_id_hash="bench")
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(one.run()) for one in (controller, writer, dependencies)]
        yield
        for task in running:
            task.cancel()


async def _until(server: FakeAPIServer, is_wanted: Callable[[Json], bool], *, count: int) -> None:
    """Wait until so many pods of the API server are as wanted."""
    async with asyncio.timeout(_TIMEOUT_S):
        while sum(map(is_wanted, _pods_of(server))) != count:  # noqa: ASYNC110 - a plain dict
            await asyncio.sleep(0.1)


def _pods_of(server: FakeAPIServer) -> list[Json]:
    return [found for (path, _), found in server.objects.items() if path == _PODS_PATH]


def _phase(pod: Json) -> str:
    return str((pod.get("status") or {}).get("phase"))


async def _break_stream(edge: EdgeApi) -> None:
    """Let the edge leave its sync stream, which the provider then opens anew."""
    stream = await edge.pair.request(SYNC_PATH, protocol=SYNC_PROTOCOL)
    await stream.response()
    stream.reset()


async def _delete_pods(server: FakeAPIServer) -> None:
    deletion = {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 1}
    for pod in _pods_of(server):
        server.change(_PODS_PATH, pod["metadata"]["name"], {"metadata": deletion})
    await _until(server, lambda _: True, count=0)


async def _settled(tally: Tally) -> Cost:
    """Wait until something was said and nothing more is; return what it cost, and start anew."""
    async with asyncio.timeout(_TIMEOUT_S):
        total = 0
        while total != tally.cost.total or not total:
            total = tally.cost.total
            await asyncio.sleep(_QUIET_S)
    cost = tally.cost
    tally.begin()
    return cost


def _fill(server: FakeAPIServer, *, pods: int) -> None:
    base = f"/api/v1/namespaces/{NAMESPACE}"
    names = [f"settings-{index}" for index in range(CONFIG_MAPS)]
    for name in names:
        text = f"{name}: all is well\n" * (CONFIG_MAP_BYTES // len(f"{name}: all is well\n"))
        applied = {"kubectl.kubernetes.io/last-applied-configuration": text}
        metadata = {"name": name, "annotations": applied, "managedFields": [{"manager": "kubectl"}]}
        server.put(f"{base}/configmaps", {"metadata": metadata, "data": {"settings.yaml": text}})
    server.tokens.padding = "x" * _TOKEN_BYTES
    authority = {"metadata": {"name": "kube-root-ca.crt"}, "data": {"ca.crt": "x" * _CA_BYTES}}
    server.put(f"{base}/configmaps", authority)
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]
    for index in range(20):
        spec = {"clusterIP": f"10.96.0.{index + 1}", "ports": ports, "selector": {"app": "web"}}
        server.put(f"{base}/services", {"metadata": {"name": f"web-{index}"}, "spec": spec})
    for index in range(pods):
        server.put(_PODS_PATH, _pod(index, names))


def _pod(index: int, config_maps: list[str]) -> Json:
    volumes = [{"name": name, "configMap": {"name": name}} for name in config_maps]
    volumes.append({"name": "kube-api-access", "projected": {"sources": _API_ACCESS}})
    mounts = [{"name": name, "mountPath": f"/etc/{name}", "readOnly": True} for name in config_maps]
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    mounts.append({"name": "kube-api-access", "mountPath": account, "readOnly": True})
    container = {
        "name": "c",
        "image": _IMAGE,
        "imagePullPolicy": "Never",
        "volumeMounts": mounts,
        "env": [{"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    }
    return {
        "metadata": {"namespace": NAMESPACE, "name": f"p-{index}", "uid": f"{index:032x}"},
        "spec": {
            "nodeName": str(SITE),
            "serviceAccountName": "default",
            "containers": [container],
            "volumes": volumes,
        },
        "status": {"phase": "Pending"},
    }
