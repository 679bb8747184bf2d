"""All kinds of volumes, put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.volumes.config_map import ConfigMapPlugin
from edge_runtime.volumes.downward_api import DownwardApiPlugin
from edge_runtime.volumes.referenced_objects import ReferencedObjects
from edge_runtime.volumes.secret import SecretPlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from fractions import Fraction

    from edge_runtime.volumes.plugin import VolumePlugin
    from edge_runtime.volumes.referenced_objects import Objects


def build_volume_plugins(
    objects: Objects, *, allocatable: Callable[[], Mapping[str, Fraction]]
) -> dict[str, VolumePlugin]:
    """Return what mounts each kind of volume, by `objects.volume.Volume.kind`.

    Args:
        objects: What pods refer to.
        allocatable: Returns what of the machine is for pods, in units and bytes.
    """
    referenced = ReferencedObjects(objects)
    return {
        "configMap": ConfigMapPlugin(referenced),
        "downwardAPI": DownwardApiPlugin(allocatable),
        "secret": SecretPlugin(referenced),
    }
