"""SharedParts: what most parts that run pods are made of, put together over one runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.logs.termination_message import TerminationMessages
from edge_runtime.pleg.generic_pleg import GenericPLEG
from edge_runtime.pleg.pod_cache import PodCache
from edge_runtime.pleg.pod_inspector import PodInspector
from edge_runtime.pod_builders import build_volume_manager
from edge_runtime.pods.deferred_cleaning import DeferredCleaning
from edge_runtime.pods.lifecycle_hooks import LifecycleHooks
from edge_runtime.pods.pod_events import PodEvents
from edge_runtime.prober.measured_probe import MeasuredProbe
from edge_runtime.prober.prober import Prober
from edge_runtime.prober.prober_manager import ProberManager
from edge_runtime.runtime.grpc_health import check_health

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.objects.pod import PodUID
    from edge_runtime.pod_stores import PodStores
    from edge_runtime.pods.pod_settings import PodSettings
    from edge_runtime.runtime.cri_client import CriClient
    from edge_runtime.telemetry.metrics import EdgeMetrics
    from edge_runtime.volumes.volume_manager import VolumeManager


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedParts:
    """What most parts are made of.

    Attributes:
        runtime: Runs containers.
        settings: What machine and configuration decide.
        stores: What outlives the process.
        events: Words the events of pods.
        cache: What the runtime has.
        inspector: Asks it.
        pleg: Keeps the cache true.
        hooks: Runs lifecycle hooks.
        cleaning: Clears away what died while no pod starts.
        probers: Asks containers how they are.
        volumes: What pods mount.
        metrics: Counts what is done.
    """

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


def build_shared_parts(
    runtime: CriClient,
    settings: PodSettings,
    stores: PodStores,
    metrics: EdgeMetrics,
    *,
    wake: Callable[[PodUID], None],
    probed: Callable[[PodUID], None],
    relist_period_s: float,
) -> SharedParts:
    """Build them; nothing runs yet.

    Args:
        runtime: Runs containers.
        settings: What machine and configuration decide.
        stores: What outlives the process.
        metrics: Counts what is done.
        wake: Called with each pod that is to be looked at again.
        probed: Called with each pod of which a probe found something new.
        relist_period_s: How often the runtime is asked for all that it has.
    """
    cache, events = PodCache(), PodEvents(stores.events)
    inspector = PodInspector(runtime, TerminationMessages(settings.pods_dir))
    prober = Prober(runtime, events=events, check_health=check_health)
    return SharedParts(
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
