"""All that pods have on disk, put together over one database."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.events.event_recorder import EventRecorder
from edge_runtime.status.pod_start_times import PodStartTimes
from edge_runtime.status.status_manager import StatusManager
from edge_runtime.store.allocation_store import AllocationStore
from edge_runtime.store.event_store import EventStore
from edge_runtime.store.local_pod_state import LocalPodState
from edge_runtime.store.node_store import NodeStore
from edge_runtime.store.object_store import ObjectStore
from edge_runtime.store.pod_store import PodStore
from edge_runtime.store.pull_record_store import PullRecordStore
from edge_runtime.store.service_store import ServiceStore
from edge_runtime.store.status_store import StatusStore
from edge_runtime.store.token_store import TokenStore
from edge_runtime.tokens.token_manager import ServiceTokens

if TYPE_CHECKING:
    from edge_runtime.store.database import Database
    from edge_runtime.telemetry.metrics import EdgeMetrics


@dataclass(frozen=True, slots=True, kw_only=True)
class PodStores:
    """What outlives the process.

    Attributes:
        pods: The desired pods; the PodManager loads them.
        statuses: What is told of each pod.
        records: What the edge alone knows of containers.
        events: The outbox of events.
        objects: What pods refer to.
        services: The Services of pods' namespaces.
        tokens: Service account tokens of pods.
        own_node: The edge's own Node as the cloud last told it.
        allocations: What admitted pods hold.
        pull_records: Whose credentials opened which image.
    """

    pods: PodStore
    statuses: StatusManager
    records: LocalPodState
    events: EventRecorder
    objects: ObjectStore
    services: ServiceStore
    tokens: ServiceTokens
    own_node: NodeStore
    allocations: AllocationStore
    pull_records: PullRecordStore

    async def load(self) -> None:
        """Take up what the last process left, but for the desired pods.

        Raises:
            StoreError: It cannot be read.
        """
        told = (self.objects, self.services, self.tokens, self.own_node)
        noted = (self.statuses, self.records, self.events, self.allocations, self.pull_records)
        for each in (*told, *noted):
            await each.load()


def build_pod_stores(database: Database, metrics: EdgeMetrics) -> PodStores:
    """Build them; nothing is read yet."""
    starts = PodStartTimes(metrics.kubelet.started)
    return PodStores(
        pods=PodStore(database),
        statuses=StatusManager(StatusStore(database), starts=starts),
        records=LocalPodState(database),
        events=EventRecorder(EventStore(database)),
        objects=ObjectStore(database),
        services=ServiceStore(database),
        tokens=ServiceTokens(TokenStore(database)),
        own_node=NodeStore(database),
        allocations=AllocationStore(database),
        pull_records=PullRecordStore(database),
    )
