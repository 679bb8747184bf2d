"""What a PersistentVolumeClaim is bound to, also the claim of an ``ephemeral`` volume.

Source: kubernetes pkg/kubelet/volumemanager/populator/desired_state_of_world_populator.go
``createVolumeSpec``; pkg/volume/util/operationexecutor/operation_generator.go
``GenerateMountVolumeFunc``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_runtime.objects.node_selector import matches_terms
from edge_runtime.objects.volume import claim_name
from edge_runtime.volumes.persistent_source import PersistentSource
from edge_runtime.volumes.plugin import VolumeError
from edge_runtime.volumes.unsupported import refuse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edge_runtime.objects.node import Node
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.volume import MountedVolume, Volume
    from edge_runtime.volumes.persistent_source import SourceMounter
    from edge_runtime.volumes.referenced_objects import ReferencedObjects

Json = dict[str, Any]

CLAIM = "PersistentVolumeClaim"
VOLUME = "PersistentVolume"
_PROTECTION = "kubernetes.io/pvc-protection"
# Fields of a PersistentVolume's spec beside its source.
_NO_SOURCES = frozenset(
    {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    }
)


class PersistentClaimPlugin:
    """Finds the volume of a claim and has it mounted; see `plugin.VolumePlugin`."""

    def __init__(
        self,
        objects: ReferencedObjects,
        *,
        mounters: Mapping[str, SourceMounter],
        node: Callable[[], Node | None],
    ) -> None:
        """Prepare.

        Args:
            objects: Claims and volumes as the edge has them.
            mounters: By name of the source in a PersistentVolume's spec.
            node: Returns this edge's Node, None before the cloud told of it.
        """
        self._objects = objects
        self._mounters = mounters
        self._node = node

    async def set_up(self, pod: Pod, volume: Volume, folder: Path) -> MountedVolume:
        """Mount what the claim is bound to.

        Raises:
            VolumeError: It is bound to none, or to one that is not to be had here.
            OSError: The machine refuses.
        """
        name = claim_name(pod, volume) or ""
        try:
            claim = await self._claim(pod, volume, name)
            found = await self._bound(claim)
            _check_mode(pod, volume, found)
        except VolumeError as exc:
            message = f"error processing PVC {pod.namespace}/{name}: {exc}"
            raise VolumeError(message, is_lasting=exc.is_lasting) from exc
        self._check_affinity(found)
        kind, fields = source_of(found)
        mounter = self._mounters.get(kind)
        if mounter is None:
            refuse(kind, fields)
        options = tuple(str(each) for each in _spec(found).get("mountOptions") or ())
        if options and not mounter.takes_mount_options:
            raise VolumeError("Mount options are not supported for this volume type")
        source = PersistentSource(
            volume_name=volume.name,
            fields=fields,
            is_read_only=volume.kind != "ephemeral" and bool(volume.source.get("readOnly")),
            mount_options=options,
        )
        return await mounter.mount_source(pod, source, folder)

    async def _claim(self, pod: Pod, volume: Volume, name: str) -> Json:
        what = "failed to fetch PVC from API server"
        claim = await self._fetch(CLAIM, pod.namespace, name, what=what)
        metadata = claim.get("metadata") or {}
        if volume.kind == "ephemeral" and not _is_controlled_by(metadata, pod):
            raise VolumeError(
                f"PVC {pod.namespace}/{name} was not created for pod {pod.namespace}/{pod.name}"
                " (pod is not owner)"
            )
        finalizers = metadata.get("finalizers") or ()
        if metadata.get("deletionTimestamp") and _PROTECTION not in finalizers:
            raise VolumeError("PVC is being deleted")
        if (claim.get("status") or {}).get("phase") != "Bound":
            raise VolumeError("PVC is not bound")
        if not _spec(claim).get("volumeName"):
            raise VolumeError("PVC has empty pvc.Spec.VolumeName")
        return claim

    async def _bound(self, claim: Json) -> Json:
        name = str(_spec(claim)["volumeName"])
        what = f"failed to fetch PV {name} from API server"
        found = await self._fetch(VOLUME, "", name, what=what)
        reference = _spec(found).get("claimRef")
        if reference is None:
            raise VolumeError(
                f"found PV object {name} but it has a nil pv.Spec.ClaimRef indicating it is not yet"
                " bound to the claim"
            )
        uid = (claim.get("metadata") or {}).get("uid")
        if reference.get("uid") != uid:
            raise VolumeError(
                f"found PV object {name} but its pv.Spec.ClaimRef.UID {reference.get('uid')} does"
                f" not point to claim.UID {uid}"
            )
        return found

    async def _fetch(self, kind: str, namespace: str, name: str, *, what: str) -> Json:
        try:
            found = await self._objects.get(
                kind=kind, namespace=namespace, name=name, optional=True
            )
        except VolumeError as exc:
            raise VolumeError(f"{what}: {exc}") from exc
        if not found:
            raise VolumeError(f'{what}: {kind.lower()}s "{name}" not found')
        return found

    def _check_affinity(self, found: Json) -> None:
        required = (_spec(found).get("nodeAffinity") or {}).get("required")
        if required is None:
            return
        node = self._node()
        if node is None:
            raise VolumeError("the cloud has not told of this Node yet")
        if not matches_terms(required, node):
            raise VolumeError("no matching NodeSelectorTerms")


def source_of(volume: Json) -> tuple[str, Json]:
    """Return name and fields of a PersistentVolume's source, "" and none if it has none."""
    for key, value in _spec(volume).items():
        if key not in _NO_SOURCES and isinstance(value, dict):
            return key, value
    return "", {}


def _check_mode(pod: Pod, volume: Volume, found: Json) -> None:
    mode = str(_spec(found).get("volumeMode") or "Filesystem")
    mounts = (mount for each in pod.all_containers for mount in each.raw.get("volumeMounts") or ())
    if mode != "Filesystem" and any(mount.get("name") == volume.name for mount in mounts):
        raise VolumeError(
            f"volume {volume.name} has volumeMode {mode}, but is specified in volumeMounts"
        )


def _is_controlled_by(metadata: Json, pod: Pod) -> bool:
    owners = metadata.get("ownerReferences") or ()
    return any(each.get("controller") and each.get("uid") == pod.uid for each in owners)


def _spec(found: Json) -> Json:
    return dict(found.get("spec") or {})
