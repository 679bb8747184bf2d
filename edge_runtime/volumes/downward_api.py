"""``downwardAPI`` volumes: what a pod is told of itself, as files.

Source: kubernetes pkg/volume/downwardapi/downwardapi.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.volumes.payload import downward_payload, mode_of
from edge_runtime.volumes.projected_files import set_up_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from fractions import Fraction
    from pathlib import Path

    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.volume import MountedVolume, Volume


class DownwardApiPlugin:
    """Writes a pod's own fields and resources; see `plugin.VolumePlugin`."""

    def __init__(self, allocatable: Callable[[], Mapping[str, Fraction]]) -> None:
        """Prepare.

        Args:
            allocatable: Returns what of the machine is for pods, in units and bytes.
        """
        self._allocatable = allocatable

    async def set_up(self, pod: Pod, volume: Volume, folder: Path) -> MountedVolume:
        """Write the files, where they differ.

        Raises:
            VolumeError: There is no such field, container or resource.
            OSError: The machine refuses.
        """
        payload = downward_payload(
            volume.source.get("items") or (),
            pod,
            default_mode=mode_of(volume.source),
            allocatable=self._allocatable(),
        )
        return await set_up_files(pod, volume, folder, payload, in_memory=True)
