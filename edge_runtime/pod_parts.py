"""All that runs pods, put together: from the store to the workers, over one runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.admission.allocation_manager import AllocationManager
from edge_runtime.events.event_recorder import EventRecorder
from edge_runtime.events.reasons import WARNING
from edge_runtime.eviction.eviction_manager import EvictionManager
from edge_runtime.eviction.machine_look import MachineLook
from edge_runtime.eviction.pod_usage import PodUsageReader
from edge_runtime.images.image_gc import ImageGC
from edge_runtime.images.image_manager import ImageManager
from edge_runtime.images.image_pull_manager import ImagePullManager
from edge_runtime.images.image_puller import ImagePuller
from edge_runtime.images.pull_secrets import PullSecrets
from edge_runtime.logs.log_rotation import LogRotation
from edge_runtime.logs.termination_message import TerminationMessages
from edge_runtime.machine.qos_cgroups import QosCgroups
from edge_runtime.pleg.evented_pleg import EventedPLEG
from edge_runtime.pleg.generic_pleg import GenericPLEG
from edge_runtime.pleg.pod_cache import PodCache
from edge_runtime.pleg.pod_inspector import PodInspector
from edge_runtime.pods.lifecycle_hooks import LifecycleHooks
from edge_runtime.pods.pod_events import PodEvents
from edge_runtime.pods.pod_evictions import PodEvictions
from edge_runtime.pods.pod_launch import PodLauncher
from edge_runtime.pods.pod_manager import PodManager
from edge_runtime.pods.pod_mounts import PodMounts
from edge_runtime.pods.pod_resize import PodResizer
from edge_runtime.pods.pod_sandbox import SandboxMaker
from edge_runtime.pods.pod_start import ContainerStarter
from edge_runtime.pods.pod_sync import PodSync
from edge_runtime.pods.pod_termination import PodTermination
from edge_runtime.pods.pod_workers import PodWorkers
from edge_runtime.pods.sandbox_isolation import SandboxIsolation
from edge_runtime.pods.status_updater import StatusUpdater
from edge_runtime.pods.user_namespaces import UserNamespaces
from edge_runtime.prober.prober import Prober
from edge_runtime.prober.prober_manager import ProberManager
from edge_runtime.runtime.grpc_health import check_health
from edge_runtime.status.status_manager import StatusManager
from edge_runtime.store.allocation_store import AllocationStore
from edge_runtime.store.event_store import EventStore
from edge_runtime.store.local_pod_state import LocalPodState
from edge_runtime.store.node_store import NodeStore
from edge_runtime.store.object_store import ObjectStore
from edge_runtime.store.pod_store import PodStore
from edge_runtime.store.pull_record_store import PullRecordStore
from edge_runtime.store.status_store import StatusStore

if TYPE_CHECKING:
    from edge_runtime.pods.pod_settings import PodSettings
    from edge_runtime.runtime.cri_client import CriClient
    from edge_runtime.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class PodParts:
    """The parts that others talk to, or that have a loop of their own.

    Attributes:
        statuses: What is told of each pod.
        records: What the edge alone knows of containers.
        events: The outbox of events.
        objects: What pods refer to.
        own_node: The edge's own Node as the cloud last told it.
        allocations: What admitted pods hold, on disk.
        eviction: Ends pods before the machine runs short.
        cache: What the runtime has.
        pleg: Keeps the cache true.
        evented_pleg: Makes it look sooner.
        probers: Asks containers how they are.
        qos_cgroups: Weighs the classes of pods.
        pull_records: Whose credentials opened which image.
        image_gc: Removes images that nobody uses.
        log_rotation: Puts logs aside.
        workers: Work on each pod.
        pods: The desired pods.
    """

    statuses: StatusManager
    records: LocalPodState
    events: EventRecorder
    objects: ObjectStore
    own_node: NodeStore
    allocations: AllocationStore
    eviction: EvictionManager
    cache: PodCache
    pleg: GenericPLEG
    evented_pleg: EventedPLEG
    probers: ProberManager
    qos_cgroups: QosCgroups
    pull_records: PullRecordStore
    image_gc: ImageGC
    log_rotation: LogRotation
    workers: PodWorkers
    pods: PodManager

    async def load(self) -> None:
        """Take up what the last process left on disk; once, before any loop runs.

        Raises:
            StoreError: It cannot be read.
        """
        # The pods last: their workers look at what the others remember.
        stores = (self.statuses, self.records, self.events, self.objects, self.own_node)
        for part in (*stores, self.allocations, self.pull_records, self.pods):
            await part.load()


def build_pod_parts(
    database: Database, runtime: CriClient, *, settings: PodSettings, relist_period_s: float
) -> PodParts:
    """Build all parts; nothing runs and nothing is asked yet."""
    statuses = StatusManager(StatusStore(database))
    records = LocalPodState(database)
    recorder = EventRecorder(EventStore(database))
    objects, pull_records = ObjectStore(database), PullRecordStore(database)
    pulls = ImagePullManager(
        pull_records, runtime=runtime, verification=settings.images.verification
    )
    images = ImageManager(
        runtime,
        puller=ImagePuller(runtime, max_parallel=settings.images.max_parallel_pulls),
        pulls=pulls,
        secrets=PullSecrets(objects),
        record=recorder.record,
    )
    events = PodEvents(recorder)
    cache, hooks = PodCache(), LifecycleHooks(runtime, events=events)
    prober = Prober(runtime, events=events, check_health=check_health)
    probers = ProberManager(
        probe=prober.probe, statuses=statuses, on_result=lambda uid: workers.probed(uid)
    )
    inspector = PodInspector(runtime, TerminationMessages(settings.pods_dir))
    pleg = GenericPLEG(
        inspector, cache, wake=lambda uid: workers.wake(uid), relist_period_s=relist_period_s
    )
    own_node, allocation_store = NodeStore(database), AllocationStore(database)
    allocations = AllocationManager(
        allocation_store,
        settings=settings.admission,
        policy=settings.policy,
        pods=lambda: workers,
        node=lambda: own_node.node,
        pressures=lambda: eviction.pressures,
        events=events,
    )
    status = StatusUpdater(
        cache=cache,
        statuses=statuses,
        probers=probers,
        allocations=allocations,
        settings=settings,
    )
    termination = PodTermination(
        runtime, pleg=pleg, cache=cache, hooks=hooks, events=events, settings=settings
    )
    workers = PodWorkers(
        sync=PodSync(
            runtime,
            pleg=pleg,
            cache=cache,
            launcher=PodLauncher(
                images=images,
                sandboxes=_sandbox_maker(runtime, cache, events, objects, settings),
                starter=ContainerStarter(
                    runtime,
                    inspector=inspector,
                    cache=cache,
                    records=records,
                    events=events,
                    hooks=hooks,
                    mounts=PodMounts(settings),
                    settings=settings,
                ),
                killer=termination,
            ),
            termination=termination,
            admission=allocations,
            resizer=PodResizer(
                runtime, pleg=pleg, cache=cache, allocations=allocations, settings=settings
            ),
            probers=probers,
            status=status,
            statuses=statuses,
            records=records,
            events=events,
            settings=settings,
        ),
        termination=termination,
        probers=probers,
        pleg=pleg,
        cache=cache,
        status=status,
        statuses=statuses,
        records=records,
        events=events,
    )
    image_gc = ImageGC(runtime, pulls=pulls, policy=settings.images.gc, event=recorder.record_node)
    eviction = EvictionManager(
        settings.eviction,
        look=MachineLook(runtime, root_dir=settings.pods_dir.parent),
        usage=PodUsageReader(runtime, settings=settings),
        pods=PodEvictions(workers, events=events),
        node_event=lambda reason, message: recorder.record_node(
            event_type=WARNING, reason=reason, message=message
        ),
        reclaim=[image_gc.delete_unused],
    )
    return PodParts(
        statuses=statuses,
        records=records,
        events=recorder,
        objects=objects,
        own_node=own_node,
        allocations=allocation_store,
        eviction=eviction,
        cache=cache,
        pleg=pleg,
        evented_pleg=_evented_pleg(runtime, pleg, cache),
        probers=probers,
        qos_cgroups=_qos_cgroups(settings, workers),
        pull_records=pull_records,
        image_gc=image_gc,
        log_rotation=LogRotation(
            runtime, containers=cache.containers, policy=settings.log_rotation
        ),
        workers=workers,
        pods=PodManager(
            PodStore(database),
            workers=workers,
            statuses=statuses,
            records=records,
            images=images,
            cache=cache,
            termination=termination,
            allocations=allocations,
        ),
    )


def _sandbox_maker(
    runtime: CriClient,
    cache: PodCache,
    events: PodEvents,
    objects: ObjectStore,
    settings: PodSettings,
) -> SandboxMaker:
    users = UserNamespaces(pods_dir=settings.pods_dir, max_pods=settings.max_pods)
    isolation = SandboxIsolation(objects=objects, runtime=runtime, users=users)
    return SandboxMaker(runtime, cache=cache, events=events, isolation=isolation, settings=settings)


def _qos_cgroups(settings: PodSettings, workers: PodWorkers) -> QosCgroups:
    return QosCgroups(
        settings.cgroups,
        root=settings.cgroup_root,
        driver=settings.cgroup_driver,
        cpus=settings.machine.cpus,
        pods=workers.active,
    )


def _evented_pleg(runtime: CriClient, pleg: GenericPLEG, cache: PodCache) -> EventedPLEG:
    sources = (runtime.container_events, runtime.containerd_events)
    return EventedPLEG(sources, pleg=pleg, cache=cache)
