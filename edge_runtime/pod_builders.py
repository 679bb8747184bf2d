"""Parts around the pods: sandboxes, volumes, images, figures, weights of their classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.images.image_manager import ImageManager
from edge_runtime.images.image_puller import ImagePuller
from edge_runtime.images.pull_secrets import PullSecrets
from edge_runtime.machine.qos_cgroups import QosCgroups
from edge_runtime.pods.pod_sandbox import SandboxMaker
from edge_runtime.pods.sandbox_isolation import SandboxIsolation
from edge_runtime.pods.user_namespaces import UserNamespaces
from edge_runtime.stats.cgroup_reader import CgroupReader
from edge_runtime.stats.group_stats_reader import GroupStatsReader
from edge_runtime.stats.machine_reader import MachineReader
from edge_runtime.stats.mounted_volumes import MountedVolumes
from edge_runtime.stats.network_reader import NetworkReader
from edge_runtime.stats.node_reader import NodeReader
from edge_runtime.stats.stats_collector import StatsCollector
from edge_runtime.stats.storage_reader import StorageReader
from edge_runtime.volumes.unsupported import UnsupportedPlugin
from edge_runtime.volumes.volume_manager import VolumeManager
from edge_runtime.volumes.volume_plugins import build_volume_plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edge_runtime.images.image_pull_manager import ImagePullManager
    from edge_runtime.images.image_puller import Pulled
    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.runtime_status import PodRuntimeStatus
    from edge_runtime.pleg.pod_cache import PodCache
    from edge_runtime.pod_stores import PodStores
    from edge_runtime.pods.pod_events import PodEvents
    from edge_runtime.pods.pod_settings import PodSettings
    from edge_runtime.runtime.cri_client import CriClient
    from edge_runtime.store.node_store import NodeStore


def build_volume_manager(
    settings: PodSettings, stores: PodStores, runtime: CriClient
) -> VolumeManager:
    """Return what mounts and cleans the volumes of all pods."""
    plugins = build_volume_plugins(
        stores.objects,
        tokens=stores.tokens,
        allocatable=lambda: settings.admission.allocatable,
        node=lambda: stores.own_node.node,
        policy=settings.policy,
        pods_dir=settings.pods_dir,
        runtime=runtime,
    )
    return VolumeManager(plugins, otherwise=UnsupportedPlugin(), pods_dir=settings.pods_dir)


def build_stats_collector(
    runtime: CriClient,
    settings: PodSettings,
    *,
    own_node: NodeStore,
    pods: Callable[[], Iterable[Pod]],
    status: Callable[[PodUID], PodRuntimeStatus],
) -> StatsCollector:
    """Return what measures machine, pods and containers for all who ask."""
    cgroups = CgroupReader()
    return StatsCollector(
        node=NodeReader(
            groups=GroupStatsReader(cgroups),
            cgroups=cgroups,
            machine=MachineReader(),
            networks=NetworkReader(),
            pods_group=settings.pods_cgroup,
            node_name=lambda: own_node.node.name if own_node.node else "",
        ),
        storage=StorageReader(runtime, folders=settings),
        volumes=MountedVolumes(settings.pods_dir),
        pods=pods,
        status=status,
        paths=settings,
    )


def build_qos_cgroups(settings: PodSettings, *, pods: Callable[[], Iterable[Pod]]) -> QosCgroups:
    """Return what weighs the classes of pods."""
    return QosCgroups(
        settings.cgroups,
        root=settings.cgroup_root,
        driver=settings.cgroup_driver,
        cpus=settings.machine.cpus,
        pods=pods,
    )


def build_image_manager(
    runtime: CriClient,
    settings: PodSettings,
    stores: PodStores,
    *,
    pulls: ImagePullManager,
    pulled: Pulled,
) -> ImageManager:
    """Return what has images pulled; ``pulled`` is told of each pull."""
    max_parallel = settings.images.max_parallel_pulls
    return ImageManager(
        runtime,
        puller=ImagePuller(runtime, max_parallel=max_parallel, pulled=pulled),
        pulls=pulls,
        secrets=PullSecrets(stores.objects),
        record=stores.events.record,
    )


def build_sandbox_maker(
    runtime: CriClient,
    settings: PodSettings,
    stores: PodStores,
    *,
    cache: PodCache,
    events: PodEvents,
) -> SandboxMaker:
    """Return what makes the sandboxes of pods."""
    isolation = SandboxIsolation(
        objects=stores.objects,
        runtime=runtime,
        users=UserNamespaces(pods_dir=settings.pods_dir, max_pods=settings.max_pods),
    )
    return SandboxMaker(
        runtime,
        cache=cache,
        events=events,
        isolation=isolation,
        settings=settings,
    )
