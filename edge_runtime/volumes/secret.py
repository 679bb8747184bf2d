"""``secret`` volumes: the keys of a Secret as files in memory, never on a disk.

Source: kubernetes pkg/volume/secret/secret.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.volumes.payload import projection_of, secret_payload
from edge_runtime.volumes.projected_files import set_up_files

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.volume import MountedVolume, Volume
    from edge_runtime.volumes.referenced_objects import ReferencedObjects

KIND = "Secret"


class SecretPlugin:
    """Writes Secrets; see `plugin.VolumePlugin`."""

    def __init__(self, objects: ReferencedObjects) -> None:
        self._objects = objects

    async def set_up(self, pod: Pod, volume: Volume, folder: Path) -> MountedVolume:
        """Write the files, where they differ.

        Raises:
            VolumeError: The Secret or a key is missing and not optional.
            OSError: The machine refuses.
        """
        projection = projection_of(volume.source)
        secret = await self._objects.get(
            kind=KIND,
            namespace=pod.namespace,
            name=str(volume.source.get("secretName") or ""),
            optional=projection.optional,
        )
        payload = secret_payload(secret, projection)
        return await set_up_files(pod, volume, folder, payload, in_memory=True)
