"""Volumes of kinds that this edgelet cannot mount: told as such, never taken for something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.volumes.plugin import VolumeError

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.volume import MountedVolume, Volume


class UnsupportedPlugin:
    """Refuses; see `plugin.VolumePlugin`."""

    def object_keys(self, pod: Pod, volume: Volume) -> frozenset[str]:
        """Return nothing."""
        return frozenset()

    async def set_up(self, pod: Pod, volume: Volume, folder: Path) -> MountedVolume:
        """Refuse.

        Raises:
            VolumeError: Always, and for good.
        """
        message = f"this edgelet does not support {volume.kind} volumes"
        raise VolumeError(message, is_lasting=True)
