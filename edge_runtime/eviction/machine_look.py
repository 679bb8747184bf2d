"""MachineLook: what is left of the machine, on the filesystems that pods write to."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_runtime.machine.machine_info import nearest_folder
from edge_runtime.machine.usage import MachineUsage, measure_usage

if TYPE_CHECKING:
    from edge_runtime.objects.runtime_stats import ImageFsInfo


class ImageFilesystems(Protocol):
    """Where images are (runtime/cri_client.py)."""

    async def image_fs_info(self) -> ImageFsInfo:
        """Return it; raises RuntimeServiceError."""
        ...


class MachineLook:
    """Measures the machine when called; keeps nothing."""

    def __init__(self, runtime: ImageFilesystems, *, root_dir: Path) -> None:
        self._runtime = runtime
        self._root_dir = root_dir

    async def __call__(self) -> tuple[MachineUsage, bool]:
        """Measure, and tell whether images lie on another filesystem than edgelet's root folder.

        Raises:
            RuntimeServiceError: The runtime does not answer.
            OSError: A file of the kernel cannot be read.
        """
        found = (await self._runtime.image_fs_info()).image_filesystems
        image_dir = Path(found[0].mountpoint) if found else None
        return await asyncio.to_thread(self._measure, image_dir)

    def _measure(self, image_dir: Path | None) -> tuple[MachineUsage, bool]:
        root = nearest_folder(str(self._root_dir))
        if image_dir is None:
            return measure_usage(root, image_dir=None), False
        # Before the first image the runtime's folder need not be there yet.
        images = nearest_folder(str(image_dir))
        is_dedicated = images.stat().st_dev != root.stat().st_dev
        return measure_usage(root, image_dir=images), is_dedicated
