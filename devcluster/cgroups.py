"""Control groups of pods: found from processes, removed from every hierarchy (version 1 and 2)."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from devcluster.mounts import MOUNTINFO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CGROUPFS = "cgroupfs"


def driver() -> str:
    """Return who makes control groups: ``DEVCLUSTER_CGROUP_DRIVER``, else ``cgroupfs``.

    The other one is ``systemd``, on machines where systemd runs.
    """
    return os.environ.get("DEVCLUSTER_CGROUP_DRIVER") or CGROUPFS


def hierarchies(*, mountinfo: str | None = None) -> list[Path]:
    """Return the mount points of all cgroup hierarchies.

    Args:
        mountinfo: Text in the form of ``/proc/self/mountinfo``, read where not given.
    """
    text = MOUNTINFO.read_text() if mountinfo is None else mountinfo
    # "36 35 98:0 /root /mount/point options ... - cgroup cgroup rw,memory" (proc(5))
    found = re.findall(r"^\S+ \S+ \S+ \S+ (\S+) .* - cgroup2? ", text, re.MULTILINE)
    return sorted({Path(point) for point in found})


def cgroups_of(pid: int, *, proc: Path = Path("/proc")) -> set[str]:
    """Return the cgroup paths of a process in all hierarchies; empty where it has ended."""
    try:
        lines = (proc / str(pid) / "cgroup").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    return {line.split(":", 2)[2] for line in lines} - {"/"}


def make(cgroup: str) -> None:
    """Make a cgroup in every hierarchy, where it is not there yet."""
    for mount in hierarchies():
        (mount / cgroup.lstrip("/")).mkdir(exist_ok=True)


def processes_below(cgroup: str) -> set[int]:
    """Return the pids in a cgroup and all below it, in any hierarchy."""
    pids: set[int] = set()
    for folder in _folders(cgroup):
        for inside, _, _ in os.walk(folder):
            with contextlib.suppress(FileNotFoundError):
                pids.update(map(int, (Path(inside) / "cgroup.procs").read_text().split()))
    return pids


def remove(cgroups: Iterable[str]) -> list[Path]:
    """Remove cgroups with all below them, in every hierarchy; return what is busy still."""
    busy = []
    for cgroup in sorted(cgroups, reverse=True):
        for folder in _folders(cgroup):
            for inside, _, _ in os.walk(folder, topdown=False):
                try:
                    Path(inside).rmdir()
                except FileNotFoundError:
                    continue
                except OSError:
                    busy.append(Path(inside))
    return busy


def _folders(cgroup: str) -> Iterator[Path]:
    for mount in hierarchies():
        folder = mount / cgroup.lstrip("/")
        if folder != mount and folder.is_dir():
            yield folder
