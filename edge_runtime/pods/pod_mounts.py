"""Files that the edge itself mounts into containers: /etc/hosts and the termination message.

    <pods_dir>/<uid>/etc-hosts                      one for all containers of a pod
    <pods_dir>/<uid>/containers/<name>/<8 digits>   one for each attempt of a container

Source: kubernetes pkg/kubelet/kubelet_pods.go ``makeHostsMount``, pkg/kubelet/kuberuntime
``makeMounts``.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.logs.termination_message import message_path
from edge_runtime.objects.runtime_config import Mount
from edge_runtime.pod_network.hosts_file import host_network_hosts_file, managed_hosts_file
from edge_runtime.pod_network.pod_hostname import pod_hostname
from edge_runtime.pods.pod_files import direct_child

if TYPE_CHECKING:
    from edge_runtime.objects.container import Container
    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.pods.pod_settings import PodSettings

HOSTS_PATH = "/etc/hosts"
_HOSTS_NAME = "etc-hosts"
_CONTAINERS_NAME = "containers"
_FOLDER_MODE = 0o750
_HOSTS_MODE = 0o644
# Whoever the container runs as may write its message.
_MESSAGE_MODE = 0o666
# In place: containers that run have this very file mounted.
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC

logger = logging.getLogger(__name__)


class PodMounts:
    """Makes the files and says where they are mounted."""

    def __init__(
        self,
        settings: PodSettings,
        *,
        machine_hosts: Path = Path(HOSTS_PATH),
        has_selinux: bool | None = None,
    ) -> None:
        """Prepare; nothing is read or written yet.

        Args:
            settings: Where the pods' folders are, and the cluster's domain.
            machine_hosts: The machine's own hosts file, for pods with its network.
            has_selinux: Whether mounts are to be labelled; None looks at the kernel.
        """
        self._settings = settings
        self._machine_hosts = machine_hosts
        if has_selinux is None:
            has_selinux = Path("/sys/fs/selinux/enforce").exists()
        self._has_selinux = has_selinux

    async def mounts(
        self, pod: Pod, container: Container, *, attempt: int, ips: tuple[str, ...]
    ) -> tuple[Mount, ...]:
        """Make what is to be mounted into one attempt of a container, and return the mounts.

        Args:
            pod: The pod.
            container: One of its containers.
            attempt: Its restart count.
            ips: The pod's addresses, for its hosts file; empty with the machine's network.

        Raises:
            OSError: The pod's folder or its hosts file cannot be written.
        """
        return await asyncio.to_thread(self._make, pod, container, attempt, ips)

    def _make(
        self, pod: Pod, container: Container, attempt: int, ips: tuple[str, ...]
    ) -> tuple[Mount, ...]:
        root = self._settings.pods_dir
        folder = direct_child(root, pod.uid)
        for each in (root, folder):
            each.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        mounts = []
        if (ips or pod.host_network) and not _mounts_hosts_itself(container):
            mounts.append(self._hosts_mount(pod, folder, ips))
        message = self._message_mount(pod, container, attempt, folder)
        return (*mounts, message) if message is not None else tuple(mounts)

    def _hosts_mount(self, pod: Pod, folder: Path, ips: tuple[str, ...]) -> Mount:
        aliases = tuple(pod.spec.get("hostAliases") or ())
        if pod.host_network:
            machines = self._machine_hosts.read_text(errors="surrogateescape")
            text = host_network_hosts_file(machines, aliases)
        else:
            text = managed_hosts_file(
                ips, pod_hostname(pod, self._settings.cluster_domain), aliases
            )
        path = folder / _HOSTS_NAME
        _write(path, text.encode(errors="surrogateescape"), mode=_HOSTS_MODE)
        return self._mount(path, HOSTS_PATH)

    def _message_mount(
        self, pod: Pod, container: Container, attempt: int, folder: Path
    ) -> Mount | None:
        path = message_path(
            self._settings.pods_dir, pod.uid, container_name=container.name, attempt=attempt
        )
        try:
            containers = folder / _CONTAINERS_NAME
            for each in (containers, direct_child(containers, container.name)):
                each.mkdir(mode=_FOLDER_MODE, exist_ok=True)
            _write(path, b"", mode=_MESSAGE_MODE)
        except OSError as exc:
            # The container runs all the same; it just cannot leave a message.
            logger.warning(
                "no file for a termination message", extra={"pod_uid": pod.uid, "error": str(exc)}
            )
            return None
        wanted = container.termination_message_path
        return self._mount(path, wanted if wanted.startswith("/") else f"/{wanted}")

    def _mount(self, path: Path, container_path: str) -> Mount:
        return Mount(
            container_path=container_path, host_path=str(path), selinux_relabel=self._has_selinux
        )


def remove_mounts(settings: PodSettings, uid: PodUID) -> None:
    """Remove these files of a pod of which no container is left; blocks.

    Its folder goes too once nothing else is in it: what volumes still have there is not ours.

    Raises:
        OSError: They are there and cannot be removed.
    """
    folder = direct_child(settings.pods_dir, uid)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder / _CONTAINERS_NAME)
    (folder / _HOSTS_NAME).unlink(missing_ok=True)
    try:
        folder.rmdir()
    except FileNotFoundError:
        return
    except OSError as exc:
        if exc.errno != errno.ENOTEMPTY:
            raise


def _mounts_hosts_itself(container: Container) -> bool:
    mounts = container.raw.get("volumeMounts") or ()
    return any(each.get("mountPath") == HOSTS_PATH for each in mounts)


def _write(path: Path, data: bytes, *, mode: int) -> None:
    fd = os.open(path, _WRITE_FLAGS, mode)
    with os.fdopen(fd, "wb") as file:
        # Whatever the process's umask is.
        os.fchmod(fd, mode)
        file.write(data)
