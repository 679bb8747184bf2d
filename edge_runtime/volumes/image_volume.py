"""Images that the runtime mounts as folders to be read, where it can.

CRI does not tell whether a runtime knows such mounts, and one that does not takes them for a mount
of nothing; so its version decides.

Source: kubernetes pkg/volume/image/image.go; containerd 2.1 and 2.2 release notes; CRI-O 1.31 and
1.33 release notes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

from edge_runtime.objects.volume import MountedVolume, volume_mounts
from edge_runtime.runtime.errors import RuntimeServiceError
from edge_runtime.volumes.plugin import VolumeError

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.runtime_info import RuntimeVersion
    from edge_runtime.objects.volume import Volume

_VERSION = re.compile(r"v?([0-9]+)\.([0-9]+)", re.ASCII)
# First versions with image volumes, and with parts of them.
_WHOLE = {"containerd": (2, 1), "cri-o": (1, 31)}
_PARTS = {"containerd": (2, 2), "cri-o": (1, 33)}


class VersionedRuntime(Protocol):
    """What says which version it is (runtime/cri_client.py)."""

    async def version(self) -> RuntimeVersion:
        """Return it; raises RuntimeServiceError."""
        ...


class ImageVolumePlugin:
    """Tells whether the runtime can; the image is pulled with those of the containers."""

    def __init__(self, runtime: VersionedRuntime) -> None:
        self._runtime = runtime

    async def set_up(self, pod: Pod, volume: Volume, folder: Path) -> MountedVolume:
        """Refuse what the runtime cannot mount.

        Raises:
            VolumeError: The runtime does not know image volumes, or no parts of them, or does not
                answer.
        """
        del folder
        try:
            version = await self._runtime.version()
        except RuntimeServiceError as exc:
            raise VolumeError(exc.message) from exc
        if not is_at_least(version, _WHOLE):
            raise VolumeError(_refusal("image volumes", version), is_lasting=True)
        mounts = (each for container in pod.all_containers for each in volume_mounts(container))
        has_parts = any(
            each.name == volume.name and (each.sub_path or each.sub_path_expr) for each in mounts
        )
        if has_parts and not is_at_least(version, _PARTS):
            # It would mount the whole image instead.
            raise VolumeError(_refusal("subPath of image volumes", version), is_lasting=True)
        return MountedVolume(
            name=volume.name,
            host_path="",
            read_only=True,
            image_ref=str(volume.source.get("reference") or ""),
            relabels=False,
        )


def is_at_least(version: RuntimeVersion, wanted: dict[str, tuple[int, int]]) -> bool:
    """Tell whether a runtime is one of those wanted, and new enough; an unknown one is not."""
    found = _VERSION.match(version.version)
    first = wanted.get(version.name)
    return found is not None and first is not None and (int(found[1]), int(found[2])) >= first


def _refusal(what: str, version: RuntimeVersion) -> str:
    return f"{version.name} {version.version} does not support {what}"
