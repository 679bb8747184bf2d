"""``projected`` volumes: several sources in one folder, service account tokens among them.

Source: kubernetes pkg/volume/projected/projected.go ``collectData``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from edge_runtime.tokens.errors import TokenUnavailable
from edge_runtime.volumes import config_map as config_maps
from edge_runtime.volumes import secret as secrets
from edge_runtime.volumes.ownership import fs_group, fs_user
from edge_runtime.volumes.payload import (
    ProjectedFile,
    config_map_payload,
    downward_payload,
    mode_of,
    projection_of,
    raise_problems,
    secret_payload,
)
from edge_runtime.volumes.plugin import VolumeError
from edge_runtime.volumes.projected_files import set_up_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from fractions import Fraction
    from pathlib import Path

    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.volume import MountedVolume, Volume
    from edge_runtime.volumes.payload import Payload
    from edge_runtime.volumes.referenced_objects import ReferencedObjects

Json = dict[str, Any]

# Source: kubernetes pkg/apis/core/v1/defaults.go ``SetDefaults_ServiceAccountTokenProjection``.
_DEFAULT_EXPIRY_S = 3600
# Only its owner reads a token, and the pod's group once it got the volume.
_TOKEN_MODE = 0o600
_OBJECT_KINDS = {"configMap": config_maps.KIND, "secret": secrets.KIND}


class Tokens(Protocol):
    """Where service account tokens come from (tokens/token_manager.py)."""

    async def token(self, pod: Pod, *, audience: str, expiry_s: int) -> str:
        """Return a token, waiting a while for a first one; raises TokenUnavailable."""
        ...


class ProjectedPlugin:
    """Writes what several sources hold; see `plugin.VolumePlugin`."""

    def __init__(
        self,
        objects: ReferencedObjects,
        *,
        tokens: Tokens,
        allocatable: Callable[[], Mapping[str, Fraction]],
    ) -> None:
        """Prepare.

        Args:
            objects: ConfigMaps and Secrets.
            tokens: Service account tokens.
            allocatable: Returns what of the machine is for pods, in units and bytes.
        """
        self._objects = objects
        self._tokens = tokens
        self._allocatable = allocatable

    async def set_up(self, pod: Pod, volume: Volume, folder: Path) -> MountedVolume:
        """Write the files, where they differ; where sources give the same path, the last counts.

        Raises:
            VolumeError: A source cannot be had; the text tells of all that cannot.
            OSError: The machine refuses.
        """
        mode = mode_of(volume.source)
        payload: Payload = {}
        problems, is_lasting = [], True
        for source in volume.source.get("sources") or ():
            try:
                payload.update(await self._payload(pod, source, mode))
            except VolumeError as exc:
                problems.append(str(exc))
                is_lasting = is_lasting and exc.is_lasting
        raise_problems(problems, is_lasting=is_lasting)
        return await set_up_files(pod, volume, folder, payload, in_memory=True)

    async def _payload(self, pod: Pod, source: Json, mode: int) -> Payload:
        kind = next((key for key, each in source.items() if each is not None), "")
        fields = source.get(kind) or {}
        match kind:
            case "configMap" | "secret":
                return await self._object_payload(pod, kind, fields, mode)
            case "downwardAPI":
                items = fields.get("items") or ()
                return downward_payload(
                    items, pod, default_mode=mode, allocatable=self._allocatable()
                )
            case "serviceAccountToken":
                return {str(fields.get("path") or ""): await self._token(pod, fields, mode)}
            case _:
                message = f"this edgelet does not support {kind} in projected volumes yet"
                raise VolumeError(message, is_lasting=True)

    async def _object_payload(self, pod: Pod, kind: str, source: Json, mode: int) -> Payload:
        projection = projection_of(source, default_mode=mode)
        found = await self._objects.get(
            kind=_OBJECT_KINDS[kind],
            namespace=pod.namespace,
            name=str(source.get("name") or ""),
            optional=projection.optional,
        )
        make = config_map_payload if kind == "configMap" else secret_payload
        return make(found, projection)

    async def _token(self, pod: Pod, source: Json, mode: int) -> ProjectedFile:
        expiry_s = int(source.get("expirationSeconds") or _DEFAULT_EXPIRY_S)
        audience = str(source.get("audience") or "")
        try:
            token = await self._tokens.token(pod, audience=audience, expiry_s=expiry_s)
        except TokenUnavailable as exc:
            raise VolumeError(f"failed to fetch token: {exc}") from exc
        user = fs_user(pod)
        if user is not None or fs_group(pod) is not None:
            mode = _TOKEN_MODE
        return ProjectedFile(data=token.encode(), mode=mode, owner=user)
