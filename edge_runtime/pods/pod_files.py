"""Files of pods beside the runtime's own: log folders and links to logs.

All functions block on the file system; call them on a thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.logs.log_files import remove_log_files
from edge_runtime.logs.termination_message import message_path
from edge_runtime.objects.pod import PodUID
from edge_runtime.runtime.cri_config import container_log_path

if TYPE_CHECKING:
    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import Pod
    from edge_runtime.pods.pod_settings import PodSettings

_MAX_FILE_NAME = 255
_UID = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)
_LOG_SUFFIX = ".log"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFolders:
    """A pod of which there are folders; names are "" where only the UID is known."""

    uid: PodUID
    namespace: str = ""
    name: str = ""


def make_log_folders(settings: PodSettings, pod: Pod) -> None:
    """Make the log folders of a pod and its containers, readable for everybody.

    Raises:
        OSError: They cannot be made.
    """
    folder = direct_child(settings.pod_logs_dir, pod.log_folder_name)
    for container in pod.all_containers:
        direct_child(folder, container.name).mkdir(mode=0o755, parents=True, exist_ok=True)
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
    """Remove the logs of one attempt of a container, the link to them, and its last message.

    Raises:
        OSError: They are there and cannot be removed.
    """
    folder = settings.pod_logs_dir / pod.log_folder_name
    remove_log_files(folder / container_log_path(container_name, attempt))
    name = _link_name(pod.namespace, pod.name, container_name, container_id)
    (settings.container_logs_dir / name).unlink(missing_ok=True)
    message_path(settings.pods_dir, pod.uid, container_name=container_name, attempt=attempt).unlink(
        missing_ok=True
    )


def remove_logs_before(
    settings: PodSettings, pod: Pod, container_name: str, *, attempt: int
) -> None:
    """Remove what `remove_log` does of all attempts of a container before this one.

    Raises:
        OSError: They are there and cannot be removed.
    """
    folder = direct_child(settings.pod_logs_dir / pod.log_folder_name, container_name)
    numbers = {name.partition(".")[0] for name in _names_in(folder)}
    for number in sorted(int(each) for each in numbers if each.isascii() and each.isdecimal()):
        if number < attempt:
            remove_log_files(folder.parent / container_log_path(container_name, number))
            message_path(
                settings.pods_dir, pod.uid, container_name=container_name, attempt=number
            ).unlink(missing_ok=True)
    links = f"{pod.name}_{pod.namespace}_{container_name}-*{_LOG_SUFFIX}"
    for link in settings.container_logs_dir.glob(links):
        if link.is_symlink() and not link.exists():
            link.unlink(missing_ok=True)


def remove_pod_logs(settings: PodSettings, *, namespace: str, name: str, uid: PodUID) -> None:
    """Remove all logs of a pod and the links to them.

    Raises:
        OSError: They are there and cannot be removed.
    """
    folder = direct_child(settings.pod_logs_dir, f"{namespace}_{name}_{uid}")
    for link in settings.container_logs_dir.glob(f"{name}_{namespace}_*{_LOG_SUFFIX}"):
        if link.is_symlink() and folder in Path(os.readlink(link)).parents:
            link.unlink(missing_ok=True)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def find_pod_folders(settings: PodSettings) -> list[PodFolders]:
    """Return the pods of which there are folders; what has another name is nobody's.

    Raises:
        OSError: The folders of all pods cannot be read.
    """
    found: dict[PodUID, PodFolders] = {}
    for name in _names_in(settings.pods_dir):
        if _UID.fullmatch(name):
            found[PodUID(name)] = PodFolders(uid=PodUID(name))
    for name in _names_in(settings.pod_logs_dir):
        namespace, _, rest = name.partition("_")
        pod, _, uid = rest.partition("_")
        if namespace and pod and _UID.fullmatch(uid):
            found[PodUID(uid)] = PodFolders(uid=PodUID(uid), namespace=namespace, name=pod)
    return list(found.values())


def _names_in(folder: Path) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return os.listdir(folder)
    return []


def direct_child(folder: Path, name: str) -> Path:
    """Return a direct child of a folder.

    The API server lets no such name through, but a whole tree is removed below this one.

    Raises:
        OSError: The name would lead out of the folder.
    """
    if "/" in name or name in ("", ".", ".."):
        raise OSError(errno.EINVAL, "not a file name", name)
    return folder / name


def _link_name(namespace: str, pod: str, container: str, container_id: str) -> str:
    name = f"{pod}_{namespace}_{container}-{container_id}"
    return name[: _MAX_FILE_NAME - len(_LOG_SUFFIX)] + _LOG_SUFFIX
