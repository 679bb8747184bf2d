"""Typed views over a pod's volumes and over what its containers mount of them; pure.

Source: kubernetes staging/src/k8s.io/api/core/v1/types.go ``Volume``, ``VolumeMount``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_runtime.objects.container import Container
    from edge_runtime.objects.pod import Pod

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Volume:
    """One entry of ``spec.volumes``."""

    raw: Json

    @property
    def name(self) -> str:
        """Name, unique in the pod; the API server allows DNS labels only."""
        return str(self.raw["name"])

    @property
    def kind(self) -> str:
        """Name of the one source that is set; ``emptyDir`` when there is none.

        Source: kubernetes pkg/apis/core/v1/defaults.go ``SetDefaults_Volume``.
        """
        return next(
            (key for key, each in self.raw.items() if key != "name" and each is not None),
            "emptyDir",
        )

    @property
    def source(self) -> Json:
        """The source's own fields, perhaps none."""
        return self.raw.get(self.kind) or {}


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """One entry of a container's ``volumeMounts``."""

    raw: Json

    @property
    def name(self) -> str:
        """The volume's name."""
        return str(self.raw["name"])

    @property
    def mount_path(self) -> str:
        """Where the container sees it; perhaps relative to its root."""
        return str(self.raw["mountPath"])

    @property
    def sub_path(self) -> str:
        """Path in the volume, "" for all of it."""
        return str(self.raw.get("subPath") or "")

    @property
    def sub_path_expr(self) -> str:
        """The same with ``$(NAME)`` references, "" when there are none."""
        return str(self.raw.get("subPathExpr") or "")

    @property
    def read_only(self) -> bool:
        """Whether the container may only read."""
        return bool(self.raw.get("readOnly"))

    @property
    def recursive_read_only(self) -> str:
        """``Disabled``, ``IfPossible`` or ``Enabled``; the API server fills it in."""
        return str(self.raw.get("recursiveReadOnly") or "Disabled")

    @property
    def mount_propagation(self) -> str:
        """``None``, ``HostToContainer`` or ``Bidirectional``; the API server fills it in."""
        return str(self.raw.get("mountPropagation") or "None")


def pod_volumes(pod: Pod) -> tuple[Volume, ...]:
    """Return the pod's volumes, in order."""
    return tuple(Volume(each) for each in pod.spec.get("volumes") or ())


def claim_name(pod: Pod, volume: Volume) -> str | None:
    """Return the name of the claim that a volume is, None for one that is none.

    Source: kubernetes staging/src/k8s.io/component-helpers/storage/ephemeral ``VolumeClaimName``.
    """
    if volume.kind == "ephemeral":
        return f"{pod.name}-{volume.name}"
    if volume.kind == "persistentVolumeClaim":
        return str(volume.source.get("claimName") or "")
    return None


def used_volumes(pod: Pod) -> tuple[Volume, ...]:
    """Return those of the pod's volumes that a container mounts: nothing waits for the others.

    Source: kubernetes pkg/kubelet/volumemanager/populator/desired_state_of_world_populator.go
    ``processPodVolumes``.
    """
    used = {each.name for container in pod.all_containers for each in volume_mounts(container)}
    return tuple(each for each in pod_volumes(pod) if each.name in used)


def volume_mounts(container: Container) -> tuple[VolumeMount, ...]:
    """Return what a container mounts, in order."""
    return tuple(VolumeMount(each) for each in container.raw.get("volumeMounts") or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class MountedVolume:
    """A volume that is ready for containers.

    Attributes:
        host_path: Absolute path on the machine; "" for one that the runtime itself mounts.
        read_only: No container may write, whatever its mount says.
        image_ref: What the runtime mounts of an image volume, "" for all others.
        relabels: It is the pod's own, so SELinux labels may be changed to its containers'.
    """

    name: str
    host_path: str
    read_only: bool = False
    image_ref: str = ""
    relabels: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeProblem:
    """Why one volume is not ready; the message is a kubelet's, with names but no contents.

    Attributes:
        is_lasting: Trying again cannot help: this edgelet or machine cannot do it at all.
    """

    volume_name: str
    message: str
    is_lasting: bool = False


class VolumesNotReady(Exception):
    """Some of a pod's volumes are not ready; those that are stay.

    Attributes:
        problems: One per volume, in the spec's order.
    """

    def __init__(self, problems: tuple[VolumeProblem, ...]) -> None:
        super().__init__("; ".join(f"{each.volume_name}: {each.message}" for each in problems))
        self.problems = problems
