"""The files by which the kernel is told what a control group may use, of both versions.

    version 1    <mount>/<controller>/<group>/cpu.shares ...    one tree per controller
    version 2    <mount>/<group>/cpu.weight ...                 one tree

Everything here blocks, on files of the kernel only, and raises OSError.

Source: opencontainers/cgroups fs and fs2, as kubernetes pkg/kubelet/cm uses them.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.runtime.cri_resources import (
    CPU_PERIOD_US,
    MAX_CPU_SHARES,
    MIN_CPU_SHARES,
    PodCgroupLimits,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_WEIGHT = 10_000
_CONTROLLERS = {"cpu", "cpuset", "memory", "pids", "io", "hugetlb"}


def is_unified(mount: Path) -> bool:
    """Tell whether version 2 is the only one; a hybrid counts as version 1, as for runc."""
    return (mount / "cgroup.controllers").exists()


def cpu_weight(shares: int) -> int:
    """Convert version 1's weight (2 to 262144) to version 2's (1 to 10000), as a kubelet does.

    Source: kubernetes pkg/kubelet/cm/cgroup_manager_linux.go ``getCPUWeight``.
    """
    span = MAX_CPU_SHARES - MIN_CPU_SHARES
    return 1 + (shares - MIN_CPU_SHARES) * (_MAX_WEIGHT - 1) // span


def write_limits(mount: Path, group: str, limits: PodCgroupLimits) -> None:
    """Make a group, with those on the way to it, and set all its limits; again if it is there.

    A controller that the kernel lacks is passed over when there is nothing to limit with it:
    kernels of small boards come without some.

    Args:
        mount: Where control groups are mounted.
        group: Absolute path below each tree.
        limits: What to enforce; a limit that is None is taken away.
    """
    if is_unified(mount):
        folder = _make(mount, group, hands_down=True)
        files = _unified_files(mount, limits)
        for name, value in files.items():
            (folder / name).write_text(value)
        return
    for controller, files in _split_files(mount, limits).items():
        folder = _make(mount / controller, group, hands_down=False)
        for name, value in files.items():
            (folder / name).write_text(value)


def write_cpu_shares(mount: Path, group: str, shares: int) -> None:
    """Make a group, with those on the way to it, and set nothing but its weight."""
    if is_unified(mount):
        folder = _make(mount, group, hands_down=True)
        (folder / "cpu.weight").write_text(str(cpu_weight(shares)))
        return
    folder = _make(mount / "cpu", group, hands_down=False)
    (folder / "cpu.shares").write_text(str(shares))


def remove_group(mount: Path, group: str) -> None:
    """Remove a group with all groups in it from all trees; one that is not there is no error."""
    for tree in _trees(mount):
        try:
            _remove(tree / group.lstrip("/"))
        except FileNotFoundError:
            continue


def _unified_files(mount: Path, limits: PodCgroupLimits) -> dict[str, str]:
    files = {
        "cpu.weight": str(cpu_weight(limits.cpu_shares)),
        "cpu.max": f"{limits.cpu_quota_us or 'max'} {CPU_PERIOD_US}",
        "memory.max": str(limits.memory_bytes or "max"),
    }
    has = set((mount / "cgroup.controllers").read_text().split())
    if limits.pids or "pids" in has:
        files["pids.max"] = str(limits.pids or "max")
    if limits.hugepages or "hugetlb" in has:
        files |= {f"hugetlb.{size}.max": str(limit) for size, limit in limits.hugepages}
    return files


def _split_files(mount: Path, limits: PodCgroupLimits) -> dict[str, dict[str, str]]:
    files = {
        "cpu": {
            "cpu.shares": str(limits.cpu_shares),
            "cpu.cfs_period_us": str(CPU_PERIOD_US),
            "cpu.cfs_quota_us": str(limits.cpu_quota_us or -1),
        }
    }
    if limits.memory_bytes or (mount / "memory").is_dir():
        files["memory"] = {"memory.limit_in_bytes": str(limits.memory_bytes or -1)}
    if limits.pids or (mount / "pids").is_dir():
        files["pids"] = {"pids.max": str(limits.pids or "max")}
    if limits.hugepages and (mount / "hugetlb").is_dir():
        files["hugetlb"] = {
            f"hugetlb.{size}.limit_in_bytes": str(limit) for size, limit in limits.hugepages
        }
    return files


def _make(tree: Path, group: str, *, hands_down: bool) -> Path:
    folder = tree
    for part in Path(group.lstrip("/")).parts:
        if hands_down:
            _delegate_controllers(folder)
        folder /= part
        folder.mkdir(exist_ok=True)
    if hands_down:
        _delegate_controllers(folder)
    return folder


def _delegate_controllers(group: Path) -> None:
    available = set((group / "cgroup.controllers").read_text().split())
    enabled = set((group / "cgroup.subtree_control").read_text().split())
    missing = sorted(available & _CONTROLLERS - enabled)
    if missing:
        (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in missing))


def _trees(mount: Path) -> Iterable[Path]:
    if is_unified(mount):
        return (mount,)
    # Controllers that share a tree ("cpu,cpuacct") are links to it.
    return tuple(tree for tree in mount.iterdir() if tree.is_dir() and not tree.is_symlink())


def _remove(group: Path) -> None:
    for child in group.iterdir():
        if child.is_dir():
            _remove(child)
    group.rmdir()
