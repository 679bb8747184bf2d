"""Files of pods beside the runtime's own: log folders, links to logs, cgroups.

All functions block on the file system; call them on a thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.objects.cgroup_names import pod_cgroup_parent
from edge_runtime.objects.qos import QOSClass
from edge_runtime.runtime.cri_config import container_log_path

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.objects.pod import ContainerID, Pod, PodUID
    from edge_runtime.pods.pod_settings import PodSettings

_MAX_FILE_NAME = 255
_LOG_SUFFIX = ".log"
_MOUNTS = Path("/proc/self/mountinfo")


def make_log_folders(settings: PodSettings, pod: Pod) -> None:
    """Make the log folders of a pod and its containers, readable for everybody.

    Raises:
        OSError: They cannot be made.
    """
    folder = settings.pod_logs_dir / pod.log_folder_name
    for container in pod.containers:
        (folder / container.name).mkdir(mode=0o755, parents=True, exist_ok=True)
    settings.container_logs_dir.mkdir(mode=0o755, parents=True, exist_ok=True)


def link_log(
    settings: PodSettings, pod: Pod, container_name: str, container_id: ContainerID, *, attempt: int
) -> None:
    """Link a container's log where log collectors look for it.

    Source: kubernetes pkg/kubelet/kuberuntime/legacy.go ``logSymlink``.

    Raises:
        OSError: The link cannot be made.
    """
    folder = settings.pod_logs_dir / pod.log_folder_name
    link = settings.container_logs_dir / _link_name(
        pod.namespace, pod.name, container_name, container_id
    )
    with contextlib.suppress(FileExistsError):
        link.symlink_to(folder / container_log_path(container_name, attempt))


def remove_log(
    settings: PodSettings, pod: Pod, container_name: str, container_id: ContainerID, *, attempt: int
) -> None:
    """Remove the log of one attempt of a container, and the link to it.

    Raises:
        OSError: They are there and cannot be removed.
    """
    folder = settings.pod_logs_dir / pod.log_folder_name
    (folder / container_log_path(container_name, attempt)).unlink(missing_ok=True)
    name = _link_name(pod.namespace, pod.name, container_name, container_id)
    (settings.container_logs_dir / name).unlink(missing_ok=True)


def remove_pod_logs(settings: PodSettings, *, namespace: str, name: str, uid: PodUID) -> None:
    """Remove all logs of a pod and the links to them.

    Raises:
        OSError: They are there and cannot be removed.
    """
    folder = settings.pod_logs_dir / f"{namespace}_{name}_{uid}"
    for link in settings.container_logs_dir.glob(f"{name}_{namespace}_*{_LOG_SUFFIX}"):
        if link.is_symlink() and folder in Path(os.readlink(link)).parents:
            link.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def remove_pod_cgroups(
    settings: PodSettings, uid: PodUID, *, mounts: Iterable[Path] | None = None
) -> None:
    """Remove a pod's cgroups in every hierarchy, of whatever class the pod was.

    Raises:
        OSError: One is there and cannot be removed, because something still runs in it.
    """
    parents = [
        pod_cgroup_parent(uid, qos, cgroup_root=settings.cgroup_root, driver=settings.cgroup_driver)
        for qos in QOSClass
    ]
    for mount in cgroup_mounts() if mounts is None else mounts:
        for parent in parents:
            _remove_cgroup(mount / parent.lstrip("/"))


def cgroup_mounts(mountinfo: Path = _MOUNTS) -> list[Path]:
    """Return where the cgroup hierarchies are mounted, version 1 and 2.

    Raises:
        OSError: The kernel does not tell.
    """
    found = []
    for line in mountinfo.read_text().splitlines():
        # proc(5): the file system type is the first field after the lone "-".
        fields, _, rest = line.partition(" - ")
        if rest.split(" ", 1)[0] in ("cgroup", "cgroup2"):
            found.append(Path(fields.split(" ")[4]))
    return found


def _link_name(namespace: str, pod: str, container: str, container_id: str) -> str:
    name = f"{pod}_{namespace}_{container}-{container_id}"
    return name[: _MAX_FILE_NAME - len(_LOG_SUFFIX)] + _LOG_SUFFIX


def _remove_cgroup(path: Path) -> None:
    # A cgroup's files vanish with it; only its children must go first.
    for folder, _, _ in os.walk(path, topdown=False):
        try:
            Path(folder).rmdir()
        except OSError as exc:
            if exc.errno != errno.ENOENT:
                raise
