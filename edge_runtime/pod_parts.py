"""All that runs pods, put together: from the store to the workers, over one runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.admission.allocation_manager import AllocationManager
from edge_runtime.events.reasons import WARNING
from edge_runtime.eviction.eviction_manager import EvictionManager
from edge_runtime.eviction.machine_look import MachineLook
from edge_runtime.eviction.pod_usage import PodUsageReader
from edge_runtime.images.image_gc import ImageGC
from edge_runtime.images.image_pull_manager import ImagePullManager
from edge_runtime.logs.log_rotation import LogRotation
from edge_runtime.pleg.evented_pleg import EventedPLEG
from edge_runtime.pod_builders import (
    build_image_manager,
    build_qos_cgroups,
    build_stats_collector,
)
from edge_runtime.pod_stores import PodStores, build_pod_stores
from edge_runtime.pods.pod_evictions import PodEvictions
from edge_runtime.pods.pod_manager import PodManager
from edge_runtime.pods.pod_wakes import PodWakes
from edge_runtime.shared_parts import SharedParts, build_shared_parts
from edge_runtime.stats.cgroup_reader import CgroupReader
from edge_runtime.worker_parts import build_termination, build_workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.images.image_manager import ImageManager
    from edge_runtime.machine.qos_cgroups import QosCgroups
    from edge_runtime.pleg.generic_pleg import GenericPLEG
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pods.pod_settings import PodSettings
    from edge_runtime.pods.pod_termination import PodTermination
    from edge_runtime.pods.pod_workers import PodWorkers
    from edge_runtime.prober.prober_manager import ProberManager
    from edge_runtime.runtime.cri_client import CriClient
    from edge_runtime.stats.stats_collector import StatsCollector
    from edge_runtime.store.database import Database
    from edge_runtime.telemetry.metrics import EdgeMetrics
    from edge_runtime.volumes.volume_manager import VolumeManager


@dataclass(frozen=True, slots=True, kw_only=True)
class PodParts:
    """The parts that others talk to, or that have a loop of their own.

    Attributes:
        stores: What outlives the process.
        eviction: Ends pods before the machine runs short.
        cache: What the runtime has.
        pleg: Keeps the cache true.
        evented_pleg: Makes it look sooner.
        probers: Asks containers how they are.
        volumes: What pods mount.
        qos_cgroups: Weighs the classes of pods.
        image_gc: Removes images that nobody uses.
        log_rotation: Puts logs aside.
        workers: Work on each pod.
        pods: The desired pods.
        stats: What they use.
    """

    stores: PodStores
    eviction: EvictionManager
    cache: PodCache
    pleg: GenericPLEG
    evented_pleg: EventedPLEG
    probers: ProberManager
    volumes: VolumeManager
    qos_cgroups: QosCgroups
    image_gc: ImageGC
    log_rotation: LogRotation
    workers: PodWorkers
    pods: PodManager
    stats: StatsCollector

    async def load(self) -> None:
        """Take up what the last process left on disk; once, before any loop runs.

        Raises:
            StoreError: It cannot be read.
        """
        # The pods last: their workers look at what the others remember.
        await self.stores.load()
        await self.pods.load()


def build_pod_parts(
    database: Database,
    runtime: CriClient,
    *,
    settings: PodSettings,
    relist_period_s: float,
    metrics: EdgeMetrics,
) -> PodParts:
    """Build all parts; nothing runs and nothing is asked yet."""
    shared = build_shared_parts(
        runtime,
        settings,
        build_pod_stores(database, metrics),
        metrics,
        wake=lambda uid: workers.wake(uid),
        probed=lambda uid: workers.probed(uid),
        relist_period_s=relist_period_s,
    )
    stores, cache, pleg = shared.stores, shared.cache, shared.pleg
    allocations = _build_allocations(
        shared, pods=lambda: workers, pressures=lambda: eviction.pressures
    )
    verification = settings.images.verification
    pulls = ImagePullManager(stores.pull_records, runtime=runtime, verification=verification)
    images = build_image_manager(runtime, settings, stores, pulls=pulls, pulled=metrics.pulled)
    termination = build_termination(shared)
    workers = build_workers(shared, images, allocations, termination)
    _wake_on_change(stores, workers)
    workers.on_stopped = allocations.retry_resizes
    event, gc_policy = stores.events.record_node, settings.images.gc
    image_gc = ImageGC(runtime, pulls=pulls, policy=gc_policy, event=event)
    eviction = _build_eviction(shared, workers, termination, image_gc)
    return PodParts(
        stores=stores,
        eviction=eviction,
        cache=cache,
        pleg=pleg,
        evented_pleg=_build_evented_pleg(shared),
        probers=shared.probers,
        volumes=shared.volumes,
        qos_cgroups=build_qos_cgroups(settings, pods=workers.active),
        image_gc=image_gc,
        log_rotation=LogRotation(
            runtime, containers=cache.containers, policy=settings.log_rotation
        ),
        workers=workers,
        pods=_build_pod_manager(shared, workers, images, allocations, termination),
        stats=build_stats_collector(
            runtime, settings, own_node=stores.own_node, pods=workers.active, status=cache.get
        ),
    )


def _build_evented_pleg(shared: SharedParts) -> EventedPLEG:
    sources = (shared.runtime.container_events, shared.runtime.containerd_events)
    return EventedPLEG(sources, pleg=shared.pleg, cache=shared.cache)


def _wake_on_change(stores: PodStores, workers: PodWorkers) -> None:
    """Have the pods worked on for which something new came down."""
    wakes = PodWakes(workers)
    stores.objects.on_change = wakes.object_changed
    stores.services.on_known = wakes.services_known
    stores.tokens.on_change = workers.wake


def _build_allocations(
    shared: SharedParts, *, pods: Callable[[], PodWorkers], pressures: Callable[[], tuple[str, ...]]
) -> AllocationManager:
    own_node = shared.stores.own_node
    return AllocationManager(
        shared.stores.allocations,
        settings=shared.settings.admission,
        policy=shared.settings.policy,
        pods=pods,
        node=lambda: own_node.node,
        pressures=pressures,
        events=shared.events,
    )


def _build_eviction(
    shared: SharedParts, workers: PodWorkers, termination: PodTermination, image_gc: ImageGC
) -> EvictionManager:
    settings, recorder = shared.settings, shared.stores.events
    pods = PodEvictions(workers, remover=termination, events=shared.events)
    return EvictionManager(
        settings.eviction,
        look=MachineLook(shared.runtime, root_dir=settings.pods_dir.parent),
        usage=PodUsageReader(
            shared.runtime, settings=settings, status=shared.cache.get, cgroups=CgroupReader()
        ),
        pods=pods,
        node_event=lambda reason, message: recorder.record_node(
            event_type=WARNING, reason=reason, message=message
        ),
        # In this order: images of containers that are gone may go too.
        reclaim=[pods.remove_ended, image_gc.delete_unused],
    )


def _build_pod_manager(
    shared: SharedParts,
    workers: PodWorkers,
    images: ImageManager,
    allocations: AllocationManager,
    termination: PodTermination,
) -> PodManager:
    return PodManager(
        shared.stores.pods,
        workers=workers,
        statuses=shared.stores.statuses,
        records=shared.stores.records,
        images=images,
        cache=shared.cache,
        termination=termination,
        cleaning=shared.cleaning,
        allocations=allocations,
        tokens=shared.stores.tokens,
    )
