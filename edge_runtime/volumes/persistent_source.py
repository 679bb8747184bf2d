"""What a PersistentVolume is mounted from, and what the plugins offer that mount it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from edge_runtime.volumes.plugin import VolumeError

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.volume import MountedVolume

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistentSource:
    """A source with what is said around it.

    Attributes:
        volume_name: What the pod calls the volume.
        fields: The source's own fields.
        is_read_only: The claim allows no writing.
        mount_options: As mount(8) knows them.
    """

    volume_name: str
    fields: Json
    is_read_only: bool = False
    mount_options: tuple[str, ...] = ()


class SourceMounter(Protocol):
    """Mounts one kind of source; holds nothing of any single pod."""

    @property
    def takes_mount_options(self) -> bool:
        """Whether ``spec.mountOptions`` of a PersistentVolume mean anything to it."""
        ...

    async def mount_source(self, pod: Pod, source: PersistentSource, folder: Path) -> MountedVolume:
        """Make it ready; idempotent.

        Args:
            pod: The pod.
            source: What is mounted.
            folder: Where it may be mounted; its parent is there, it itself perhaps not.

        Raises:
            VolumeError: It cannot be made ready.
            OSError: The machine refuses.
        """
        ...


def check_path(path: str, *, what: str) -> None:
    """Refuse a path that climbs.

    Source: kubernetes pkg/volume/validation/pv_validation.go ``ValidatePathNoBacksteps``.

    Args:
        path: Of the machine.
        what: How messages call it.

    Raises:
        VolumeError: It has "..", or is not absolute.
    """
    if ".." in path.split("/"):
        raise VolumeError(f"invalid {what} `{path}`: must not contain '..'", is_lasting=True)
    if not path.startswith("/") or "\0" in path:
        raise VolumeError(f"invalid {what} `{path!a}`: must be an absolute path", is_lasting=True)
