"""All that talks with the cloud, put together over the parts that run pods.

Nothing that runs pods imports this: after a boot they are on their way before it is loaded.
"""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.api.guarded_calls import CallGuard
from edge_runtime.api.node_logs import NodeLogsOptions
from edge_runtime.api.router import Route, Router
from edge_runtime.api.routes import edge_routes
from edge_runtime.api.sync import EdgeIdentity, SyncHandler
from edge_runtime.audit.audit_log import AuditLog, NoAuditLog
from edge_runtime.config import EDGELET_VERSION
from edge_runtime.machine.node_reporter import NodeReporter
from edge_runtime.uplink.dial import ProviderDial
from edge_runtime.uplink.dialer import Dialer
from edge_runtime.uplink.enrolment import Enrolment
from edge_runtime.uplink.renewal import Renewal
from tunnel.heap import keep_freed_memory
from tunnel.session import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.config import EdgeConfig
    from edge_runtime.pod_parts import PodParts
    from edge_runtime.pods.pod_settings import PodSettings
    from edge_runtime.runtime.cri_client import CriClient
    from edge_runtime.telemetry.metrics import EdgeMetrics
    from edge_runtime.uplink.joined_edge import JoinedEdge
    from edge_runtime.uplink.network_watch import NetworkWatch

AUDIT_LOG_NAME = "audit.log"
# The Kubernetes version whose kubelet this is built after; the provider may claim another one.
KUBELET_VERSION = "v1.36.3"


class CloudParts:
    """The tunnel, what is served through it, and the certificate it is dialled with."""

    def __init__(
        self,
        config: EdgeConfig,
        joined: JoinedEdge,
        runtime: CriClient,
        pods: PodParts,
        *,
        settings: PodSettings,
        metrics: EdgeMetrics,
        boot_id: str,
        network: NetworkWatch | None,
    ) -> None:
        self._config = config
        self._runtime = runtime
        self._pods = pods
        self._settings = settings
        self._metrics = metrics
        self._audit = build_audit_log(config, lost=metrics.lost_audit_records.inc)
        self._dialer = self._build_dialer(joined, boot_id=boot_id, network=network)
        self._renewal = Renewal(
            credentials=joined.credentials,
            files=joined.files,
            enrolment=Enrolment(server=joined.server),
            renewed=self._dialer.dial_now,
            failed=metrics.failed_renewals.inc,
        )

    async def run(self) -> None:
        """Serve the cloud until cancelled, or until a part fails."""
        keep_freed_memory()
        async with self._audit.writing(), asyncio.TaskGroup() as loops:
            loops.create_task(self._dialer.run(), name="dialer")
            loops.create_task(self._renewal.run(), name="certificate renewal")

    async def drain(self) -> None:
        """Take no new calls, and give those that run their time to end."""
        self._sync.stop()
        await self._dialer.drain(deadline_s=self._config.drain_timeout_s)

    def _build_dialer(
        self, joined: JoinedEdge, *, boot_id: str, network: NetworkWatch | None
    ) -> Dialer:
        instance_id = secrets.token_hex(16)
        self._sync = self._build_sync(
            EdgeIdentity(version=EDGELET_VERSION, instance_id=instance_id, boot_id=boot_id)
        )
        router = Router(self._routes(), tracer=self._metrics.tracer)
        dial = ProviderDial(
            server=joined.server, credentials=joined.credentials, instance_id=instance_id
        )
        return Dialer(
            dial=dial,
            handler=router.handle,
            limits=Limits(resume_timeout_s=self._config.session_resume_timeout_s),
            network=network,
            is_reachable=dial.is_reachable,
            metrics=self._metrics.tunnel,
        )

    def _routes(self) -> list[Route]:
        return edge_routes(
            pods=self._pods.pods,
            statuses=self._pods.stores.statuses,
            runtime=self._runtime,
            checks={"syncloop": self._check_loop},
            sync=self._sync,
            figures=self._pods.stats,
            metrics=self._metrics,
            guard=CallGuard(policy=self._settings.policy, audit=self._audit, pods=self._pods.pods),
            node_logs=NodeLogsOptions(
                has_files=self._config.enable_system_log_handler,
                has_queries=self._config.enable_system_log_query,
                folder=self._config.system_logs_dir,
            ),
        )

    def _build_sync(self, identity: EdgeIdentity) -> SyncHandler:
        stores = self._pods.stores
        node = NodeReporter(
            self._runtime,
            root_dir=self._config.root_directory,
            max_pods=self._config.max_pods,
            kubelet_version=KUBELET_VERSION,
            reserved=self._config.reserved,
            thresholds=self._config.thresholds,
            pressures=lambda: self._pods.eviction.pressures,
            host_ips=self._settings.host_ips,
            relist_problem=self._pods.pleg.problem,
            report_period_s=self._config.node_status_update_frequency_s,
        )
        return SyncHandler(
            identity=identity,
            pods=self._pods.pods,
            statuses=stores.statuses,
            node=node,
            events=stores.events,
            objects=stores.objects,
            services=stores.services,
            tokens=stores.tokens,
            own_node=stores.own_node,
        )

    async def _check_loop(self) -> str | None:
        # A runtime that does not answer is the Node's condition, not this: the edge itself is
        # there, and a Node whose Lease runs out would be taken for one that is not.
        return None if self._pods.pleg.is_looping() else "the runtime was not asked for minutes"


def build_audit_log(config: EdgeConfig, *, lost: Callable[[int], object]) -> AuditLog | NoAuditLog:
    """Return the audit log that is configured; ``lost`` is told of lines that it did not take."""
    wanted = config.audit_log
    if not wanted.enabled:
        return NoAuditLog()
    path = Path(wanted.file or Path(config.root_directory) / AUDIT_LOG_NAME)
    return AuditLog(path, max_bytes=wanted.max_bytes, max_files=wanted.max_files, lost=lost)
