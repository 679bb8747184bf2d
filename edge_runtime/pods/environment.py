"""A container's environment out of its spec and of what that refers to; pure.

    Services, below  envFrom in order, below  env in order

A value may refer to what comes before it with ``$(NAME)``; what is taken from elsewhere is told as
it is. Bytes that are not UTF-8 travel through str as surrogates.

Source: kubernetes pkg/kubelet/kubelet_pods.go ``makeEnvironmentVariables``.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.objects.field_refs import (
    FieldContext,
    FieldRefError,
    container_resource_value,
    default_limits,
    field_value,
    resource_value,
)
from edge_runtime.objects.quantity import QuantityError
from edge_runtime.runtime.expansion import expand
from tunnel.sync import object_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from fractions import Fraction

    from edge_runtime.objects.container import Container, Json
    from edge_runtime.objects.pod import Pod

_HOST_ADDRESSES = ("status.hostIP", "status.hostIPs")


class EnvironmentProblem(Exception):
    """A container has no environment yet; the text is a kubelet's, with names but no values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSources:
    """What a container's variables are taken from.

    Attributes:
        services: Variables of Services.
        objects: ``object_key`` to each ConfigMap and Secret that the API has.
        addresses: Of machine and pod.
        allocatable: What the machine's pods may have in all, in units and bytes.
    """

    services: Mapping[str, str]
    objects: Mapping[str, Json]
    addresses: FieldContext
    allocatable: Mapping[str, Fraction]


def compute_environment(
    pod: Pod, container: Container, sources: EnvironmentSources
) -> dict[str, str]:
    """Compute a container's whole environment, expanded.

    Raises:
        EnvironmentProblem: Something that it refers to is missing, or no environment can hold it.
    """
    # One mapping for all: what comes later wins, in the result and in what references see.
    result = dict(sources.services)
    for each in container.raw.get("envFrom") or ():
        result.update(_set_of(pod, each, sources))
    for each in container.raw.get("env") or ():
        name, value = str(each["name"]), str(each.get("value") or "")
        if value:
            result[name] = expand(value, result)
            continue
        told = _value_from(pod, container, each.get("valueFrom") or {}, sources)
        # Optional and not there: the variable is left as it was.
        if told is not None:
            result[name] = told
    for name, value in result.items():
        if "\0" in value:
            raise EnvironmentProblem(f"the value of environment variable {name} has a NUL byte")
    return result


def check_words(words: Iterable[str]) -> None:
    """Check that command and arguments can be told to the runtime; their bytes must be UTF-8.

    Raises:
        EnvironmentProblem: A variable brought in what is not.
    """
    for each in words:
        try:
            each.encode()
        except UnicodeEncodeError as exc:
            raise EnvironmentProblem(
                "command or arguments refer to a variable whose value is not UTF-8"
            ) from exc


def _set_of(pod: Pod, entry: Json, sources: EnvironmentSources) -> Iterator[tuple[str, str]]:
    for field, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
        reference = entry.get(field)
        if reference is not None:
            data = _data(pod, kind, reference, sources) or {}
            for key in data:
                yield f"{entry.get('prefix') or ''}{key}", _text(pod, kind, reference, key, data)


def _value_from(
    pod: Pod, container: Container, source: Json, sources: EnvironmentSources
) -> str | None:
    """Return what a variable is to hold, None when it is optional and there is nothing."""
    for field, kind in (("configMapKeyRef", "ConfigMap"), ("secretKeyRef", "Secret")):
        reference = source.get(field)
        if reference is not None:
            return _key_of(pod, kind, reference, sources)
    try:
        if source.get("fieldRef") is not None:
            return _field(pod, source["fieldRef"], sources.addresses)
        if source.get("resourceFieldRef") is not None:
            return _resource(pod, container, source["resourceFieldRef"], sources.allocatable)
    except (FieldRefError, QuantityError) as exc:
        raise EnvironmentProblem(str(exc)) from exc
    return ""


def _key_of(pod: Pod, kind: str, reference: Json, sources: EnvironmentSources) -> str | None:
    data = _data(pod, kind, reference, sources)
    if data is None:
        return None
    key = str(reference.get("key") or "")
    if key in data:
        return _text(pod, kind, reference, key, data)
    if reference.get("optional"):
        return None
    where = f"{pod.namespace}/{reference.get('name') or ''}"
    raise EnvironmentProblem(f"couldn't find key {key} in {kind} {where}")


def _data(pod: Pod, kind: str, reference: Json, sources: EnvironmentSources) -> Json | None:
    """Return the object's ``data``, None when it is optional and missing.

    Source: kubernetes pkg/kubelet/util/manager/watch_based_manager.go ``Get``.
    """
    name = str(reference.get("name") or "")
    found = sources.objects.get(object_key(kind=kind, namespace=pod.namespace, name=name))
    if found is not None:
        return found.get("data") or {}
    if reference.get("optional"):
        return None
    raise EnvironmentProblem(f'{kind.lower()} "{name}" not found')


def _text(pod: Pod, kind: str, reference: Json, key: str, data: Json) -> str:
    value = str(data[key] or "")
    if kind != "Secret":
        return value
    try:
        return base64.b64decode(value, validate=True).decode("utf-8", "surrogateescape")
    except binascii.Error as exc:
        where = f"{pod.namespace}/{reference.get('name')}"
        raise EnvironmentProblem(f"key {key} in Secret {where} is not base64") from exc


def _field(pod: Pod, reference: Json, addresses: FieldContext) -> str:
    path = str(reference.get("fieldPath") or "")
    if path in _HOST_ADDRESSES and not addresses.host_ips:
        # Source: kubernetes pkg/util/node/node.go ``GetNodeHostIPs``.
        raise EnvironmentProblem("host IP unknown; known addresses: []")
    return field_value(
        pod, path, context=addresses, api_version=str(reference.get("apiVersion") or "v1")
    )


def _resource(
    pod: Pod, container: Container, reference: Json, allocatable: Mapping[str, Fraction]
) -> str:
    resource, divisor = str(reference.get("resource") or ""), str(reference.get("divisor") or "")
    limits = default_limits(pod, allocatable)
    name = str(reference.get("containerName") or "")
    if not name:
        return container_resource_value(container, resource, divisor, allocatable=limits)
    # As in a kubelet, an init container that is called by its name has no default limits.
    is_regular = any(each.name == name for each in pod.containers)
    return resource_value(pod, name, resource, divisor, allocatable=limits if is_regular else {})
