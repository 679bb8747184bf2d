"""Space of volumes that are mounted from elsewhere: claims and NFS. It blocks, for a while.

A kubelet asks their filesystem, too, rather than look through it: it may be large, and shared. One
whose server or disk is gone may never answer, so each is asked on a thread of its own: one that
hangs is left out, and not asked again before it has answered.

Source: kubernetes pkg/volume/metrics_statfs.go, pkg/kubelet/server/stats/volume_stat_calculator.go.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

from edge_runtime.objects.node_stats import FilesystemStats, VolumeStats
from edge_runtime.stats.filesystem_space import filesystem_space, folders_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from edge_runtime.objects.node_stats import PodFigures
    from edge_runtime.objects.pod import PodUID

# Folders of such volumes (volumes/volume_manager.py); what lies in others goes with its pod.
MOUNTED_PLUGINS: Final = (
    "kubernetes.io~ephemeral",
    "kubernetes.io~nfs",
    "kubernetes.io~persistent-volume-claim",
)
# For all of them together; a server that answers does so in milliseconds.
TIMEOUT_S: Final = 2.0

logger = logging.getLogger(__name__)


class _Look:
    """One question to one filesystem, under way or answered."""

    def __init__(self, path: Path, ask: Callable[[Path], FilesystemStats]) -> None:
        self._path = path
        self._ask = ask
        self._is_done = threading.Event()
        self.found: FilesystemStats | None = None

    @property
    def is_done(self) -> bool:
        return self._is_done.is_set()

    def start(self) -> None:
        try:
            # A daemon: one that hangs does not keep the process from ending.
            threading.Thread(target=self._run, name="volume-space", daemon=True).start()
        except RuntimeError as exc:
            # The machine starts no more threads. All else is told all the same.
            self._warn(str(exc))
            self._is_done.set()

    def wait(self, timeout_s: float) -> None:
        if not self._is_done.wait(max(timeout_s, 0.0)):
            self._warn("it does not answer")

    def _run(self) -> None:
        try:
            self.found = self._ask(self._path)
        except FileNotFoundError:
            # Its pod has ended meanwhile.
            self.found = None
        except OSError as exc:
            self._warn(str(exc))
        finally:
            self._is_done.set()

    def _warn(self, reason: str) -> None:
        extra = {"path": str(self._path), "reason": reason}
        logger.warning("the space of a volume is not known", extra=extra)


class MountedVolumes:
    """Asks when it is asked; one caller at a time."""

    def __init__(
        self,
        pods_dir: Path,
        *,
        timeout_s: float = TIMEOUT_S,
        ask: Callable[[Path], FilesystemStats] = filesystem_space,
    ) -> None:
        """Prepare.

        Args:
            pods_dir: Root of the pods' own folders.
            timeout_s: How long all of them together may take to answer.
            ask: Returns the space of a path's filesystem; may hang, or raise OSError.
        """
        self._pods_dir = pods_dir
        self._timeout_s = timeout_s
        self._ask = ask
        self._hanging: dict[Path, _Look] = {}

    def read(self, pods: Iterable[PodFigures]) -> dict[PodUID, tuple[VolumeStats, ...]]:
        """Return the volumes of these pods that answer; blocks at most so long as was said.

        Raises:
            OSError: A pod's own folder cannot be read.
        """
        self._hanging = {path: each for path, each in self._hanging.items() if not each.is_done}
        looks: list[tuple[PodFigures, str, _Look]] = []
        for pod in pods:
            for path in self._paths(pod):
                if path not in self._hanging:
                    look = self._hanging[path] = _Look(path, self._ask)
                    look.start()
                    looks.append((pod, path.name, look))
        until = time.monotonic() + self._timeout_s
        found: dict[PodUID, list[VolumeStats]] = {}
        for pod, name, look in looks:
            look.wait(until - time.monotonic())
            if look.found is not None:
                claim = pod.claims.get(name)
                stats = VolumeStats(
                    name=name,
                    filesystem=look.found,
                    claim=None if claim is None else (pod.namespace, claim),
                )
                found.setdefault(pod.uid, []).append(stats)
        return {uid: tuple(volumes) for uid, volumes in found.items()}

    def _paths(self, pod: PodFigures) -> Iterator[Path]:
        folder = self._pods_dir / pod.uid / "volumes"
        for plugin in MOUNTED_PLUGINS:
            for name in folders_in(folder / plugin):
                yield folder / plugin / name
