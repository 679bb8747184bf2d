"""What every kind of volume offers to the volume manager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.volume import MountedVolume, Volume


class VolumeError(Exception):
    """A volume cannot be made ready; the text is a kubelet's own, without contents.

    Attributes:
        is_lasting: Trying again cannot help.
    """

    def __init__(self, message: str, *, is_lasting: bool = False) -> None:
        super().__init__(message)
        self.is_lasting = is_lasting


class VolumePlugin(Protocol):
    """One kind of volume; holds nothing of any single pod."""

    async def set_up(self, pod: Pod, volume: Volume, folder: Path) -> MountedVolume:
        """Make the volume ready, or bring its contents up to date; idempotent.

        Args:
            pod: The pod.
            volume: One of its volumes, of this kind.
            folder: Where it belongs: ``<pods_dir>/<uid>/volumes/kubernetes.io~<plugin>/<name>``.
                Its parent is there, it itself perhaps not.

        Raises:
            VolumeError: It cannot be made ready.
            OSError: The machine refuses; the text is told as it is.
        """
        ...
