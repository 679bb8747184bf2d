"""All kinds of volumes, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.volumes.config_map import ConfigMapPlugin
from edge_runtime.volumes.downward_api import DownwardApiPlugin
from edge_runtime.volumes.empty_dir import EmptyDirPlugin
from edge_runtime.volumes.host_path import HostPathPlugin
from edge_runtime.volumes.image_volume import ImageVolumePlugin
from edge_runtime.volumes.local_path import LocalPathPlugin
from edge_runtime.volumes.nfs import NfsPlugin
from edge_runtime.volumes.persistent_claim import PersistentClaimPlugin
from edge_runtime.volumes.projected import ProjectedPlugin
from edge_runtime.volumes.referenced_objects import ReferencedObjects
from edge_runtime.volumes.secret import SecretPlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from fractions import Fraction
    from pathlib import Path

    from edge_runtime.objects.node import Node
    from edge_runtime.policy.edge_policy import EdgePolicy
    from edge_runtime.volumes.image_volume import VersionedRuntime
    from edge_runtime.volumes.plugin import VolumePlugin
    from edge_runtime.volumes.projected import Tokens
    from edge_runtime.volumes.referenced_objects import Objects


def build_volume_plugins(
    objects: Objects,
    *,
    tokens: Tokens,
    allocatable: Callable[[], Mapping[str, Fraction]],
    node: Callable[[], Node | None],
    policy: EdgePolicy,
    pods_dir: Path,
    runtime: VersionedRuntime,
) -> dict[str, VolumePlugin]:
    """Return what mounts each kind of volume, by `objects.volume.Volume.kind`.

    Args:
        objects: What pods refer to.
        tokens: Service account tokens.
        allocatable: Returns what of the machine is for pods, in units and bytes.
        node: Returns this edge's Node, None before the cloud told of it.
        policy: Which paths of the machine its owner allows.
        pods_dir: Root of the pods' own folders.
        runtime: What mounts images.
    """
    referenced = ReferencedObjects(objects)
    host_path, nfs = HostPathPlugin(policy), NfsPlugin()
    claims = PersistentClaimPlugin(
        referenced,
        mounters={
            "hostPath": host_path,
            "local": LocalPathPlugin(policy, pods_dir=pods_dir),
            "nfs": nfs,
        },
        node=node,
    )
    return {
        "configMap": ConfigMapPlugin(referenced),
        "downwardAPI": DownwardApiPlugin(allocatable),
        "emptyDir": EmptyDirPlugin(allocatable),
        "ephemeral": claims,
        "hostPath": host_path,
        "image": ImageVolumePlugin(runtime),
        "nfs": nfs,
        "persistentVolumeClaim": claims,
        "projected": ProjectedPlugin(referenced, tokens=tokens, allocatable=allocatable),
        "secret": SecretPlugin(referenced),
    }
