"""The edge's API over a tunnel, on the real pod machinery and a runtime that speaks CRI."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_runtime.api.guarded_calls import CallGuard
from edge_runtime.api.node_logs import NodeLogsOptions
from edge_runtime.api.router import Router
from edge_runtime.api.routes import edge_routes
from edge_runtime.api.sync import EdgeIdentity, SyncHandler
from edge_runtime.policy.edge_policy import FORBIDS_NOTHING, EdgePolicy
from edge_runtime.runtime.cri_client import CriClient
from edge_runtime.telemetry.metrics import EdgeMetrics
from tests.fakes.edge_pods import EdgePods, is_running, pod_json
from tests.fakes.fake_cri import FakeCri
from tests.fakes.fake_cri_streaming import FakeCriStreaming, Upgraded, echo, serve_cri_streaming
from tests.fakes.reports import make_report
from tests.fakes.tunnel_pair import TunnelPair, tunnel_pair
from tunnel.protocol import METHOD_HEADER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from edge_runtime.audit.audit_record import AuditedCall, AuditEvent, CallEnd
    from edge_runtime.objects.container import Json
    from tunnel.stream import Stream
    from tunnel.sync import NodeReport


class OneReport:
    """A machine that never changes."""

    async def changes(self) -> AsyncGenerator[NodeReport, None]:
        """Report once."""
        yield make_report()


class AuditedCalls:
    """Keeps what would be written down."""

    def __init__(self) -> None:
        self.records: list[tuple[AuditedCall, AuditEvent, CallEnd | None]] = []

    def record(self, call: AuditedCall, event: AuditEvent, end: CallEnd | None = None) -> None:
        """Keep a line."""
        self.records.append((call, event, end))


@dataclass
class EdgeApi:
    """What a test of the API asks and looks at."""

    pair: TunnelPair
    pods: EdgePods
    cri: FakeCri
    streaming: FakeCriStreaming
    sync: SyncHandler
    problems: dict[str, str | None]
    audit: AuditedCalls = field(default_factory=AuditedCalls)

    async def run_pod(self, pod: Json | None = None) -> str:
        """Run a pod and return the id of its container."""
        pod = pod_json() if pod is None else pod
        self.cri.add_image("busybox:1")
        await self.pods.put(pod)
        await self.pods.status(pod["metadata"]["uid"], is_running)
        return self.cri.container_named("c")

    async def upgrade(
        self, path: str, *, method: str = "POST", headers: tuple[tuple[str, str], ...] = ()
    ) -> Stream:
        """Ask for an upgrade to SPDY."""
        headers = ((METHOD_HEADER, method), *headers)
        return await self.pair.request(path, protocol="SPDY/3.1", headers=headers)


@contextlib.asynccontextmanager
async def edge_api(
    folder: Path,
    *,
    behaviour: Callable[[Upgraded], Awaitable[None]] = echo,
    policy: EdgePolicy = FORBIDS_NOTHING,
) -> AsyncIterator[EdgeApi]:
    """Serve until the block ends; the runtime's streams behave as given."""
    metrics = EdgeMetrics()
    problems: dict[str, str | None] = {"syncloop": None, "runtime": None}

    def check(name: str) -> Callable[[], Awaitable[str | None]]:
        async def run() -> str | None:
            return problems[name]

        return run

    async with (
        FakeCri(folder) as cri,
        serve_cri_streaming(behaviour) as streaming,
        CriClient(cri.endpoint, called=metrics.kubelet.called) as client,
        EdgePods(folder, client, metrics=metrics).running() as pods,
    ):
        cri.streaming_url = f"http://127.0.0.1:{streaming.port}"
        sync = SyncHandler(
            identity=EdgeIdentity(version="0", instance_id="i" * 32, boot_id="b"),
            pods=pods.manager,
            statuses=pods.statuses,
            node=OneReport(),
            events=pods.recorder,
            objects=pods.parts.stores.objects,
            services=pods.parts.stores.services,
            tokens=pods.parts.stores.tokens,
            own_node=pods.parts.stores.own_node,
        )
        audit = AuditedCalls()
        routes = edge_routes(
            pods=pods.manager,
            statuses=pods.statuses,
            runtime=client,
            checks={name: check(name) for name in problems},
            sync=sync,
            figures=pods.parts.stats,
            metrics=metrics,
            guard=CallGuard(policy=policy, audit=audit, pods=pods.manager),
            node_logs=NodeLogsOptions(),
        )
        async with tunnel_pair(Router(routes).handle) as pair:
            api = EdgeApi(pair, pods, cri, streaming, sync, problems, audit=audit)
            yield api
