"""What the files of a volume hold, out of the objects that it is made of; pure.

Source: kubernetes pkg/volume/configmap/configmap.go, pkg/volume/secret/secret.go ``MakePayload``,
pkg/volume/downwardapi/downwardapi.go ``CollectData``, pkg/volume/util/atomic_writer.go
``validatePayload``.
"""

from __future__ import annotations

import base64
import binascii
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edge_runtime.objects.field_refs import FieldRefError, field_value, resource_value
from edge_runtime.objects.quantity import QuantityError
from edge_runtime.volumes.plugin import VolumeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from fractions import Fraction

    from edge_runtime.objects.pod import Pod

Json = dict[str, Any]

# Source: kubernetes pkg/apis/core/v1/defaults.go ``SetDefaults_ConfigMapVolumeSource``.
DEFAULT_MODE = 0o644
# Source: Linux limits.h ``PATH_MAX`` and ``NAME_MAX``.
_MAX_PATH_BYTES = 4096
_MAX_NAME_BYTES = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectedFile:
    """One file of a volume.

    Attributes:
        data: All of it.
        mode: Permission bits.
        owner: User id, None for root.
    """

    data: bytes = field(repr=False)
    mode: int
    owner: int | None = None


# By path in the volume.
Payload = dict[str, ProjectedFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """How an object's keys become files: a ``configMap`` or ``secret`` source's own fields.

    Attributes:
        items: Keys with the paths and modes they get; empty for all keys under their own names.
        default_mode: Of files whose item gives none.
        optional: A missing object or key is no error.
    """

    items: tuple[Json, ...]
    default_mode: int
    optional: bool


def projection_of(source: Json, *, default_mode: int | None = None) -> Projection:
    """Read a source's fields.

    Args:
        source: A ``configMap`` or ``secret`` volume, or one source of a projected volume.
        default_mode: The projected volume's, None to take the source's own.
    """
    return Projection(
        items=tuple(source.get("items") or ()),
        default_mode=mode_of(source) if default_mode is None else default_mode,
        optional=bool(source.get("optional")),
    )


def mode_of(source: Json) -> int:
    """Return the ``defaultMode`` of a volume's source."""
    mode = source.get("defaultMode")
    return DEFAULT_MODE if mode is None else int(mode)


def config_map_payload(config_map: Json, projection: Projection) -> Payload:
    """Return the files of a ConfigMap; an optional one that is missing is an empty mapping.

    Raises:
        VolumeError: A key is missing, or its binary data is not base64.
    """
    texts, binaries = config_map.get("data") or {}, config_map.get("binaryData") or {}
    contents = {key: _decode("configmap", key, text) for key, text in binaries.items()}
    contents.update({key: str(text).encode() for key, text in texts.items()})
    return _project(contents, projection, "configmap references non-existent config key: {}")


def secret_payload(secret: Json, projection: Projection) -> Payload:
    """Return the files of a Secret; an optional one that is missing is an empty mapping.

    Raises:
        VolumeError: A key is missing, or its data is not base64.
    """
    data = secret.get("data") or {}
    contents = {key: _decode("secret", key, text) for key, text in data.items()}
    return _project(contents, projection, "references non-existent secret key: {}")


def downward_payload(
    items: Iterable[Json],
    pod: Pod,
    *,
    default_mode: int,
    allocatable: Mapping[str, Fraction],
) -> Payload:
    """Return the files that tell a pod of itself.

    Args:
        items: Of a ``downwardAPI`` volume or source.
        pod: The pod, with what is allocated to it.
        default_mode: Of files whose item gives none.
        allocatable: The node's, in units and bytes; stands for limits that are not set.

    Raises:
        VolumeError: There is no such field, container or resource.
    """
    payload: Payload = {}
    problems = []
    for item in items:
        try:
            text = _downward_text(item, pod, allocatable)
        except (FieldRefError, QuantityError) as exc:
            problems.append(str(exc))
            continue
        path = posixpath.normpath(str(item.get("path") or ""))
        payload[path] = ProjectedFile(data=text.encode(), mode=_item_mode(item, default_mode))
    raise_problems(problems)
    return payload


def raise_problems(problems: list[str], *, is_lasting: bool = False) -> None:
    """Tell of several problems at once, each once; of none nothing.

    Source: kubernetes apimachinery pkg/util/errors/errors.go ``aggregate.Error``.

    Raises:
        VolumeError: There are any.
    """
    texts = list(dict.fromkeys(problems))
    if texts:
        text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        raise VolumeError(text, is_lasting=is_lasting)


def check_payload(payload: Payload) -> Payload:
    """Return the files by their shortest paths, none of which leads out of the volume.

    Raises:
        VolumeError: A path does, or is too long, or one file would have to be a folder as well.
    """
    checked = {}
    for path, file in payload.items():
        problem = _path_problem(path)
        if problem:
            raise VolumeError(f"invalid path: {problem}: {path}", is_lasting=True)
        checked[posixpath.normpath(path)] = file
    for path in checked:
        folder = posixpath.dirname(path)
        while folder:
            if folder in checked:
                message = f"invalid path: {folder} is a file, so nothing can be below it: {path}"
                raise VolumeError(message)
            folder = posixpath.dirname(folder)
    return checked


def _path_problem(path: str) -> str:
    names = path.split("/")
    if path.startswith("/"):
        return "must be relative path"
    if len(path.encode()) > _MAX_PATH_BYTES:
        return f"must be less than or equal to {_MAX_PATH_BYTES} characters"
    if ".." in names:
        return "must not contain '..'"
    if any(len(name.encode()) > _MAX_NAME_BYTES for name in names):
        return f"filenames must be less than or equal to {_MAX_NAME_BYTES} characters"
    # Such names are the writer's own.
    if names[0].startswith(".."):
        return "must not start with '..'"
    if "\0" in path or posixpath.normpath(path) == ".":
        return "must name a file"
    return ""


def _project(contents: Mapping[str, bytes], projection: Projection, missing: str) -> Payload:
    if not projection.items:
        return {
            key: ProjectedFile(data=data, mode=projection.default_mode)
            for key, data in contents.items()
        }
    payload: Payload = {}
    for item in projection.items:
        key = str(item.get("key") or "")
        data = contents.get(key)
        if data is None:
            if projection.optional:
                continue
            raise VolumeError(missing.format(key))
        payload[str(item.get("path") or "")] = ProjectedFile(
            data=data, mode=_item_mode(item, projection.default_mode)
        )
    return payload


def _item_mode(item: Json, default_mode: int) -> int:
    mode = item.get("mode")
    return default_mode if mode is None else int(mode)


def _decode(what: str, key: str, text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError) as exc:
        # The text itself may be a secret.
        raise VolumeError(f"{what} key {key} is not base64") from exc


def _downward_text(item: Json, pod: Pod, allocatable: Mapping[str, Fraction]) -> str:
    field_ref, resource_ref = item.get("fieldRef"), item.get("resourceFieldRef")
    if field_ref:
        return field_value(pod, str(field_ref.get("fieldPath") or ""))
    if resource_ref:
        return resource_value(
            pod,
            str(resource_ref.get("containerName") or ""),
            str(resource_ref.get("resource") or ""),
            str(resource_ref.get("divisor") or ""),
            allocatable=allocatable,
        )
    return ""
