"""Users and groups of a pod's own: a range of the machine's ids that nobody else has.

The range stands in the pod's folder in a kubelet's form, so that it is the same after a restart,
and is free again once that file is gone.

Source: kubernetes pkg/kubelet/userns/userns_manager.go, pkg/kubelet/kubelet_pods.go
``GetKubeletMappings``.
"""

from __future__ import annotations

import asyncio
import json
import os
from typing import TYPE_CHECKING

from edge_runtime.objects.runtime_config import IDRange
from edge_runtime.pods.sandbox_isolation import OutOfIDs

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.pod import PodUID

FILE_NAME = "userns"
# Source: ``userNsUnitLength``; the first range is the machine's own.
IDS_PER_POD = 65_536


class UserNamespaces:
    """Gives out ranges, one to a pod."""

    def __init__(self, *, pods_dir: Path, max_pods: int) -> None:
        """Prepare; nothing is read yet.

        Args:
            pods_dir: Root of the pods' own folders, one by UID.
            max_pods: How many ranges there are.
        """
        self._pods_dir = pods_dir
        self._max_pods = max_pods
        self._lock = asyncio.Lock()

    async def ids_of(self, uid: PodUID) -> IDRange:
        """Return a pod's range; it is on disk before this returns, and the same each time.

        Raises:
            OSError: It cannot be read or written.
            OutOfIDs: Other pods have all of them.
        """
        # Two pods must not find the same range free.
        async with self._lock:
            return await asyncio.to_thread(self._ids_of, uid)

    def _ids_of(self, uid: PodUID) -> IDRange:
        file = self._pods_dir / uid / FILE_NAME
        own = _read(file)
        if own is not None:
            return own
        taken = {
            each.host_id for path in self._pods_dir.glob(f"*/{FILE_NAME}") if (each := _read(path))
        }
        for number in range(1, self._max_pods + 1):
            if number * IDS_PER_POD not in taken:
                found = IDRange(host_id=number * IDS_PER_POD, length=IDS_PER_POD)
                _write(file, found)
                return found
        raise OutOfIDs("could not find an empty slot to allocate a user namespace")


def release_ids(pods_dir: Path, uid: PodUID) -> None:
    """Give a pod's range back; nothing to do when it has none; blocks.

    Raises:
        OSError: Its file cannot be removed.
    """
    (pods_dir / uid / FILE_NAME).unlink(missing_ok=True)


def _read(file: Path) -> IDRange | None:
    """Return the range in a file, None when there is none or it is not what was written."""
    try:
        mapping = json.loads(file.read_text())["uidMappings"][0]
        return IDRange(host_id=int(mapping["hostId"]), length=int(mapping["length"]))
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None


def _write(file: Path, ids: IDRange) -> None:
    mapping = [{"hostId": ids.host_id, "containerId": 0, "length": ids.length}]
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f".{file.name}.new")
    with new.open("w") as opened:
        json.dump({"uidMappings": mapping, "gidMappings": mapping}, opened)
        opened.flush()
        os.fsync(opened.fileno())
    new.rename(file)
