"""Names of the control groups of pods, for both cgroup drivers.

    cgroupfs  <root>/kubepods/burstable/pod<uid>
    systemd   <root>/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice

Source: kubernetes pkg/kubelet/cm ``pod_container_manager_linux.go``, ``cgroup_manager_linux.go``.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from edge_runtime.objects.qos import QOSClass

if TYPE_CHECKING:
    from edge_runtime.objects.pod import PodUID

_QOS_FOLDER = {
    QOSClass.GUARANTEED: (),
    QOSClass.BURSTABLE: ("burstable",),
    QOSClass.BEST_EFFORT: ("besteffort",),
}

# How runtimes begin the names of their scopes.
_SCOPE_PREFIX = {"containerd": "cri-containerd", "cri-o": "crio"}


class CgroupDriver(enum.Enum):
    """Who makes control groups: runc itself, or systemd on its behalf."""

    CGROUPFS = "cgroupfs"
    SYSTEMD = "systemd"


def pod_cgroup_parent(uid: PodUID, qos: QOSClass, *, cgroup_root: str, driver: CgroupDriver) -> str:
    """Return the pod's cgroup as CRI's ``cgroup_parent``: absolute, below ``cgroup_root``."""
    return _path(qos, f"pod{uid}", cgroup_root=cgroup_root, driver=driver)


def qos_cgroup(qos: QOSClass, *, cgroup_root: str, driver: CgroupDriver) -> str:
    """Return the cgroup that the pods of a class are in; that of Guaranteed ones holds the rest."""
    return _path(qos, cgroup_root=cgroup_root, driver=driver)


def container_cgroup(
    parent: str, container_id: str, *, driver: CgroupDriver, runtime_name: str
) -> str:
    """Return the cgroup that a runtime makes for a container or a sandbox in its pod's one.

    Source: containerd internal/cri/server/helpers_linux.go ``getCgroupsPath``; cri-o
    internal/config/cgmgr; opencontainers/cgroups systemd/common.go ``getUnitName``.
    """
    prefix = _SCOPE_PREFIX.get(runtime_name, runtime_name)
    if driver is CgroupDriver.SYSTEMD:
        return f"{parent}/{prefix}-{container_id}.scope"
    return f"{parent}/{prefix}-{container_id}" if prefix == "crio" else f"{parent}/{container_id}"


def _path(qos: QOSClass, *pod: str, cgroup_root: str, driver: CgroupDriver) -> str:
    parts = (*_split(cgroup_root), "kubepods", *_QOS_FOLDER[qos], *pod)
    if driver is CgroupDriver.CGROUPFS:
        return "/" + "/".join(parts)
    # A slice's name spells its path with "-", so a "-" inside a part becomes "_".
    escaped = [part.replace("-", "_") for part in parts]
    slices = ["-".join(escaped[: depth + 1]) + ".slice" for depth in range(len(escaped))]
    return "/" + "/".join(slices)


def _split(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part)
