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
from edge_runtime.logs.termination_message import TerminationMessages
from edge_runtime.pleg.evented_pleg import EventedPLEG
from edge_runtime.pleg.generic_pleg import GenericPLEG
from edge_runtime.pleg.pod_cache import PodCache
from edge_runtime.pleg.pod_inspector import PodInspector
from edge_runtime.pod_builders import (
    build_image_manager,
    build_qos_cgroups,
    build_sandbox_maker,
    build_stats_collector,
    build_volume_manager,
)
from edge_runtime.pod_stores import PodStores, build_pod_stores
from edge_runtime.pods.container_configuration import ContainerConfiguration
from edge_runtime.pods.container_environment import ContainerEnvironment
from edge_runtime.pods.container_mounts import ContainerMounts
from edge_runtime.pods.container_start import ContainerStarter
from edge_runtime.pods.deferred_cleaning import DeferredCleaning
from edge_runtime.pods.lifecycle_hooks import LifecycleHooks
from edge_runtime.pods.pod_events import PodEvents
from edge_runtime.pods.pod_evictions import PodEvictions
from edge_runtime.pods.pod_launch import PodLauncher
from edge_runtime.pods.pod_manager import PodManager
from edge_runtime.pods.pod_mounts import PodMounts
from edge_runtime.pods.pod_resize import PodResizer
from edge_runtime.pods.pod_steps import PodSteps
from edge_runtime.pods.pod_sync import PodSync
from edge_runtime.pods.pod_termination import PodTermination
from edge_runtime.pods.pod_volumes import PodVolumes
from edge_runtime.pods.pod_wakes import PodWakes
from edge_runtime.pods.pod_workers import PodWorkers
from edge_runtime.pods.status_updater import StatusUpdater
from edge_runtime.prober.measured_probe import MeasuredProbe
from edge_runtime.prober.prober import Prober
from edge_runtime.prober.prober_manager import ProberManager
from edge_runtime.runtime.grpc_health import check_health
from edge_runtime.stats.cgroup_reader import CgroupReader

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.images.image_manager import ImageManager
    from edge_runtime.machine.qos_cgroups import QosCgroups
    from edge_runtime.objects.pod import PodUID
    from edge_runtime.pods.pod_settings import PodSettings
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What most parts are made of."""

    runtime: CriClient
    settings: PodSettings
    stores: PodStores
    events: PodEvents
    cache: PodCache
    inspector: PodInspector
    pleg: GenericPLEG
    hooks: LifecycleHooks
    cleaning: DeferredCleaning
    probers: ProberManager
    volumes: VolumeManager
    metrics: EdgeMetrics


def build_pod_parts(
    database: Database,
    runtime: CriClient,
    *,
    settings: PodSettings,
    relist_period_s: float,
    metrics: EdgeMetrics,
) -> PodParts:
    """Build all parts; nothing runs and nothing is asked yet."""
    shared = _build_shared(
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
    termination = _build_termination(shared)
    workers = _build_workers(shared, images, allocations, termination)
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


def _build_evented_pleg(shared: _Shared) -> EventedPLEG:
    sources = (shared.runtime.container_events, shared.runtime.containerd_events)
    return EventedPLEG(sources, pleg=shared.pleg, cache=shared.cache)


def _wake_on_change(stores: PodStores, workers: PodWorkers) -> None:
    """Have the pods worked on for which something new came down."""
    wakes = PodWakes(workers)
    stores.objects.on_change = wakes.object_changed
    stores.services.on_known = wakes.services_known
    stores.tokens.on_change = workers.wake


def _build_shared(
    runtime: CriClient,
    settings: PodSettings,
    stores: PodStores,
    metrics: EdgeMetrics,
    *,
    wake: Callable[[PodUID], None],
    probed: Callable[[PodUID], None],
    relist_period_s: float,
) -> _Shared:
    cache, events = PodCache(), PodEvents(stores.events)
    inspector = PodInspector(runtime, TerminationMessages(settings.pods_dir))
    prober = Prober(runtime, events=events, check_health=check_health)
    return _Shared(
        runtime=runtime,
        settings=settings,
        stores=stores,
        events=events,
        cache=cache,
        inspector=inspector,
        pleg=GenericPLEG(
            inspector,
            cache,
            wake=wake,
            relist_period_s=relist_period_s,
            relisted=metrics.kubelet.relisted,
        ),
        hooks=LifecycleHooks(runtime, events=events),
        cleaning=DeferredCleaning(runtime, wake=wake),
        probers=ProberManager(
            probe=MeasuredProbe(prober.probe, metrics.probes),
            statuses=stores.statuses,
            on_result=probed,
            forgotten=metrics.probes.forget,
        ),
        volumes=build_volume_manager(settings, stores, runtime),
        metrics=metrics,
    )


def _build_termination(shared: _Shared) -> PodTermination:
    return PodTermination(
        shared.runtime,
        pleg=shared.pleg,
        cache=shared.cache,
        hooks=shared.hooks,
        volumes=shared.volumes,
        events=shared.events,
        settings=shared.settings,
    )


def _build_allocations(
    shared: _Shared, *, pods: Callable[[], PodWorkers], pressures: Callable[[], tuple[str, ...]]
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


def _build_workers(
    shared: _Shared,
    images: ImageManager,
    allocations: AllocationManager,
    termination: PodTermination,
) -> PodWorkers:
    status = StatusUpdater(
        cache=shared.cache,
        statuses=shared.stores.statuses,
        probers=shared.probers,
        allocations=allocations,
        settings=shared.settings,
    )
    return PodWorkers(
        steps=PodSteps(
            sync=_build_sync(shared, images, allocations, termination, status),
            termination=termination,
            probers=shared.probers,
            cache=shared.cache,
            status=status,
            statuses=shared.stores.statuses,
            records=shared.stores.records,
        ),
        pleg=shared.pleg,
        status=status,
        statuses=shared.stores.statuses,
        records=shared.stores.records,
        events=shared.events,
        worked=shared.metrics.kubelet.worked,
    )


def _build_sync(
    shared: _Shared,
    images: ImageManager,
    allocations: AllocationManager,
    termination: PodTermination,
    status: StatusUpdater,
) -> PodSync:
    return PodSync(
        shared.runtime,
        pleg=shared.pleg,
        cache=shared.cache,
        launcher=_build_launcher(shared, images, termination),
        termination=termination,
        cleaning=shared.cleaning,
        admission=allocations,
        resizer=PodResizer(
            shared.runtime,
            pleg=shared.pleg,
            cache=shared.cache,
            allocations=allocations,
            settings=shared.settings,
        ),
        volumes=PodVolumes(shared.volumes, events=shared.events),
        probers=shared.probers,
        status=status,
        statuses=shared.stores.statuses,
        records=shared.stores.records,
        events=shared.events,
        settings=shared.settings,
    )


def _build_launcher(
    shared: _Shared, images: ImageManager, termination: PodTermination
) -> PodLauncher:
    return PodLauncher(
        images=images,
        sandboxes=build_sandbox_maker(
            shared.runtime, shared.settings, shared.stores, cache=shared.cache, events=shared.events
        ),
        starter=ContainerStarter(
            shared.runtime,
            inspector=shared.inspector,
            cache=shared.cache,
            records=shared.stores.records,
            events=shared.events,
            hooks=shared.hooks,
            configuration=_build_configuration(shared, images),
            settings=shared.settings,
        ),
        killer=termination,
    )


def _build_configuration(shared: _Shared, images: ImageManager) -> ContainerConfiguration:
    return ContainerConfiguration(
        cache=shared.cache,
        environments=ContainerEnvironment(
            objects=shared.stores.objects,
            services=shared.stores.services,
            statuses=shared.stores.statuses,
            settings=shared.settings,
        ),
        mounts=PodMounts(shared.settings),
        volumes=ContainerMounts(
            shared.volumes,
            images=images,
            runtime=shared.runtime,
            pods_dir=shared.settings.pods_dir,
        ),
        settings=shared.settings,
    )


def _build_eviction(
    shared: _Shared, workers: PodWorkers, termination: PodTermination, image_gc: ImageGC
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
    shared: _Shared,
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
