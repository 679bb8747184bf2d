"""``configMap`` volumes: the keys of a ConfigMap as files on disk.

Source: kubernetes pkg/volume/configmap/configmap.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.volumes.payload import config_map_payload, projection_of
from edge_runtime.volumes.projected_files import set_up_files

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.volume import MountedVolume, Volume
    from edge_runtime.volumes.referenced_objects import ReferencedObjects

KIND = "ConfigMap"


class ConfigMapPlugin:
    """Writes ConfigMaps; see `plugin.VolumePlugin`."""

    def __init__(self, objects: ReferencedObjects) -> None:
        self._objects = objects

    async def set_up(self, pod: Pod, volume: Volume, folder: Path) -> MountedVolume:
        """Write the files, where they differ.

        Raises:
            VolumeError: The ConfigMap or a key is missing and not optional.
            OSError: The disk refuses.
        """
        projection = projection_of(volume.source)
        config_map = await self._objects.get(
            kind=KIND,
            namespace=pod.namespace,
            name=str(volume.source.get("name") or ""),
            optional=projection.optional,
        )
        payload = config_map_payload(config_map, projection)
        return await set_up_files(pod, volume, folder, payload, in_memory=False)
