"""Volumes that this edgelet cannot mount: those of drivers, and disks of clouds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from edge_runtime.volumes.plugin import VolumeError

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.volume import MountedVolume, Volume

Json = dict[str, Any]


class UnsupportedPlugin:
    """Refuses; see `plugin.VolumePlugin`."""

    async def set_up(self, pod: Pod, volume: Volume, folder: Path) -> MountedVolume:
        """Refuse.

        Raises:
            VolumeError: Always.
        """
        del pod, folder
        refuse(volume.kind, volume.source)


def refuse(kind: str, fields: Json) -> NoReturn:
    """Say that volumes of a kind are not supported.

    Args:
        kind: The source's name in the API.
        fields: The source's own.

    Raises:
        VolumeError: Always.
    """
    driver = fields.get("driver")
    of_driver = f" (driver {driver})" if isinstance(driver, str) and driver else ""
    raise VolumeError(
        f"this edgelet does not support volumes of kind {kind}{of_driver}", is_lasting=True
    )
