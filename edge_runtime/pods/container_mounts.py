"""What a container mounts of its pod's volumes.

A part of a volume is mounted below the pod's own folder first, so that the runtime is given a path
on which nobody but root can put anything else:

    <pods_dir>/<uid>/volume-subpaths/<volume>/<container>/<place in volumeMounts>

Source: kubernetes pkg/kubelet/kubelet_pods.go ``makeMounts``; pkg/kubelet/kuberuntime/
kuberuntime_manager.go ``getImageVolumes``.
"""

from __future__ import annotations

import asyncio
import logging
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from edge_runtime.objects.container import Container
from edge_runtime.objects.runtime_config import Mount, MountedImage, MountPropagation
from edge_runtime.objects.volume import pod_volumes, volume_mounts
from edge_runtime.pods.pod_files import direct_child
from edge_runtime.runtime.errors import RuntimeServiceError
from edge_runtime.runtime.expansion import expand, references
from edge_runtime.volumes.subpath import NoSubpath, mount_subpath
from edge_runtime.volumes.volume_manager import SUBPATHS_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.runtime_config import ResolvedImage, SandboxConfig
    from edge_runtime.objects.runtime_info import RuntimeStatus
    from edge_runtime.objects.volume import MountedVolume, VolumeMount

_PROPAGATIONS = {
    "None": MountPropagation.PRIVATE,
    "HostToContainer": MountPropagation.HOST_TO_CONTAINER,
    "Bidirectional": MountPropagation.BIDIRECTIONAL,
}

logger = logging.getLogger(__name__)


class MountProblem(Exception):
    """A container's mounts cannot be had; the message is a kubelet's."""


class MountedVolumes(Protocol):
    """What has the volumes (volumes/volume_manager.py)."""

    def mounted(self, uid: PodUID) -> Mapping[str, MountedVolume]:
        """Return a pod's volumes that are ready, by name."""
        ...


class VolumeImages(Protocol):
    """Where images come from (images/image_manager.py)."""

    async def ensure_image(
        self, pod: Pod, container: Container, *, sandbox: SandboxConfig | None = None
    ) -> ResolvedImage:
        """Return an image; raises ImageError, StoreError."""
        ...


class Features(Protocol):
    """What tells what the runtime can do (runtime/cri_client.py)."""

    async def status(self) -> RuntimeStatus:
        """Return it; raises RuntimeServiceError."""
        ...


class ContainerMounts:
    """Turns ``volumeMounts`` into mounts; holds nothing of any single pod."""

    def __init__(
        self,
        volumes: MountedVolumes,
        *,
        images: VolumeImages,
        runtime: Features,
        pods_dir: Path,
        has_selinux: bool | None = None,
    ) -> None:
        """Prepare; nothing is asked yet.

        Args:
            volumes: The pods' volumes.
            images: Where the images of image volumes come from.
            runtime: What tells whether it mounts recursively read-only.
            pods_dir: Root of the pods' own folders, one by UID.
            has_selinux: Whether mounts are to be labelled; None looks at the kernel.
        """
        self._volumes = volumes
        self._images = images
        self._runtime = runtime
        self._pods_dir = pods_dir
        if has_selinux is None:
            has_selinux = Path("/sys/fs/selinux/enforce").exists()
        self._has_selinux = has_selinux

    async def mounts(
        self,
        pod: Pod,
        container: Container,
        *,
        env: Mapping[str, str],
        sandbox: SandboxConfig,
    ) -> tuple[Mount, ...]:
        """Return a container's mounts of its pod's volumes, in the spec's order.

        Parts of volumes are mounted, and images pulled, before this returns. Cancelling is safe:
        what was mounted goes with the pod.

        Args:
            pod: The pod.
            container: One of its containers.
            env: Its whole environment, for ``subPathExpr``.
            sandbox: The pod's sandbox.

        Raises:
            MountProblem: The volume is not there, or not to be mounted so.
            ImageError: An image volume's image is not to be had.
            StoreError: Who pulled an image cannot be remembered.
        """
        volumes = self._volumes.mounted(pod.uid)
        found = []
        for index, each in enumerate(volume_mounts(container)):
            volume = volumes.get(each.name)
            if volume is None:
                raise MountProblem(
                    f'cannot find volume "{each.name}" to mount into container "{container.name}"'
                )
            subpath = _subpath(each, env)
            host_path, image = volume.host_path, None
            if volume.image_ref:
                image = await self._image(pod, volume, sandbox, subpath)
            elif subpath:
                host_path = await self._part(pod, container, volume, subpath, index=index)
            found.append(
                Mount(
                    container_path=posixpath.join("/", each.mount_path),
                    host_path=host_path,
                    image=image,
                    readonly=each.read_only or volume.read_only,
                    recursive_read_only=await self._is_recursive(each, sandbox.runtime_handler),
                    selinux_relabel=self._has_selinux and volume.relabels,
                    propagation=_propagation(each),
                )
            )
        return tuple(found)

    async def _part(
        self, pod: Pod, container: Container, volume: MountedVolume, subpath: str, *, index: int
    ) -> str:
        try:
            folder = direct_child(self._pods_dir, pod.uid) / SUBPATHS_NAME
            folder = direct_child(direct_child(folder, volume.name), container.name)
            target = folder / str(index)
            await asyncio.to_thread(mount_subpath, volume.host_path, subpath, target)
        except (NoSubpath, OSError) as exc:
            done = "create subPath directory" if isinstance(exc, NoSubpath) else "prepare subPath"
            extra = {"pod_uid": pod.uid, "container": container.name, "volume": volume.name}
            error = exc.__cause__ if isinstance(exc, NoSubpath) else exc
            logger.warning("a part of a volume is refused", extra={**extra, "error": str(error)})
            # Why it failed would tell of the machine's files.
            raise MountProblem(
                f'failed to {done} for volumeMount "{volume.name}" of container "{container.name}"'
            ) from exc
        return str(target)

    async def _image(
        self, pod: Pod, volume: MountedVolume, sandbox: SandboxConfig, subpath: str
    ) -> MountedImage:
        source = next(each.source for each in pod_volumes(pod) if each.name == volume.name)
        # Of no container: events are the pod's.
        wanted = Container(
            {
                "name": "",
                "image": volume.image_ref,
                "imagePullPolicy": source.get("pullPolicy") or "IfNotPresent",
            }
        )
        image = await self._images.ensure_image(pod, wanted, sandbox=sandbox)
        return MountedImage(
            ref=image.ref,
            user_specified_image=volume.image_ref,
            runtime_handler=sandbox.runtime_handler,
            sub_path=subpath,
        )

    async def _is_recursive(self, mount: VolumeMount, handler: str) -> bool:
        """Tell whether what is mounted below is to be read-only as well.

        Source: ``resolveRecursiveReadOnly``.
        """
        mode = mount.recursive_read_only
        if mode == "Disabled":
            return False
        wish = f'volume "{mount.name}" requested recursive read-only mode, but it is not'
        if not mount.read_only:
            raise MountProblem(_recursive_problem(f"{wish} read-only"))
        if mount.mount_propagation != "None":
            propagation = mount.mount_propagation
            raise MountProblem(
                _recursive_problem(f'{wish} compatible with propagation "{propagation}"')
            )
        if mode not in ("IfPossible", "Enabled"):
            raise MountProblem(_recursive_problem(f'unknown recursive read-only mode "{mode}"'))
        try:
            status = await self._runtime.status()
        except RuntimeServiceError as exc:
            raise MountProblem(_recursive_problem(exc.message)) from exc
        is_able = any(
            each.name == handler and each.recursive_read_only_mounts for each in status.handlers
        )
        if mode == "Enabled" and not is_able:
            raise MountProblem(_recursive_problem(f"{wish} supported by the runtime"))
        return is_able


def _subpath(mount: VolumeMount, env: Mapping[str, str]) -> str:
    """Return the part of a volume that is mounted, "" for all of it.

    Source: kubernetes pkg/kubelet/container/helpers.go ``ExpandContainerVolumeMounts``.
    """
    path = mount.sub_path
    if mount.sub_path_expr:
        missing = sorted(name for name in references(mount.sub_path_expr) if not env.get(name))
        if missing:
            raise MountProblem(f"missing value for {', '.join(missing)}")
        path = expand(mount.sub_path_expr, env)
    if not path:
        return ""
    if path.startswith("/"):
        raise MountProblem(f"error SubPath `{path}` must not be an absolute path")
    if ".." in path.split("/"):
        raise MountProblem(f"unable to provision SubPath `{path}`: must not contain '..'")
    if "\0" in path:
        raise MountProblem(f"unable to provision SubPath `{path!a}`: must not contain NUL")
    return posixpath.normpath(path)


def _propagation(mount: VolumeMount) -> MountPropagation:
    try:
        return _PROPAGATIONS[mount.mount_propagation]
    except KeyError:
        mode = mount.mount_propagation
        raise MountProblem(f'invalid MountPropagation mode: "{mode}"') from None


def _recursive_problem(why: str) -> str:
    return f"failed to resolve recursive read-only mode: {why}"
