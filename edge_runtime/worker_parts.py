"""Workers, and all that they do to one pod, put together: from its sync to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.pod_builders import build_sandbox_maker
from edge_runtime.pods.container_configuration import ContainerConfiguration
from edge_runtime.pods.container_environment import ContainerEnvironment
from edge_runtime.pods.container_mounts import ContainerMounts
from edge_runtime.pods.container_removal import ContainerRemover
from edge_runtime.pods.container_start import ContainerStarter
from edge_runtime.pods.pod_launch import PodLauncher
from edge_runtime.pods.pod_mounts import PodMounts
from edge_runtime.pods.pod_resize import PodResizer
from edge_runtime.pods.pod_steps import PodSteps
from edge_runtime.pods.pod_sync import PodSync
from edge_runtime.pods.pod_termination import PodTermination
from edge_runtime.pods.pod_volumes import PodVolumes
from edge_runtime.pods.pod_workers import PodWorkers
from edge_runtime.pods.status_updater import StatusUpdater

if TYPE_CHECKING:
    from edge_runtime.admission.allocation_manager import AllocationManager
    from edge_runtime.images.image_manager import ImageManager
    from edge_runtime.shared_parts import SharedParts


def build_termination(shared: SharedParts) -> PodTermination:
    """Return what stops pods, and removes what is left of them."""
    return PodTermination(
        shared.runtime,
        pleg=shared.pleg,
        cache=shared.cache,
        hooks=shared.hooks,
        volumes=shared.volumes,
        events=shared.events,
        settings=shared.settings,
    )


def build_workers(
    shared: SharedParts,
    images: ImageManager,
    allocations: AllocationManager,
    termination: PodTermination,
) -> PodWorkers:
    """Return the workers of all pods, with all that they use."""
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
    shared: SharedParts,
    images: ImageManager,
    allocations: AllocationManager,
    termination: PodTermination,
    status: StatusUpdater,
) -> PodSync:
    return PodSync(
        cache=shared.cache,
        remover=ContainerRemover(
            shared.runtime,
            pleg=shared.pleg,
            cache=shared.cache,
            termination=termination,
            cleaning=shared.cleaning,
            events=shared.events,
            settings=shared.settings,
        ),
        launcher=_build_launcher(shared, images, termination),
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
    )


def _build_launcher(
    shared: SharedParts, images: ImageManager, termination: PodTermination
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


def _build_configuration(shared: SharedParts, images: ImageManager) -> ContainerConfiguration:
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
