"""What a pod may tell its containers of itself: the downward API's fields and resources; pure.

Source: kubernetes pkg/fieldpath/fieldpath.go, pkg/apis/core/pods/helpers.go
``ConvertDownwardAPIFieldLabel``, pkg/kubelet/kubelet_pods.go ``podFieldSelectorRuntimeValue``,
pkg/api/v1/resource/helpers.go ``ExtractContainerResourceValue``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from edge_runtime.objects.go_text import go_quote
from edge_runtime.objects.pod_resources import HUGEPAGES, pod_level_resources
from edge_runtime.objects.quantity import milli_value, parse_quantity, whole_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.container import Container
    from edge_runtime.objects.pod import Pod

# Source: kubernetes apimachinery pkg/api/validate/content/kube.go ``IsLabelKey``.
_LABEL_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
_DOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_LABEL_KEY = re.compile(rf"({_DOMAIN}/)?{_LABEL_NAME}")
_MAX_DOMAIN_CHARACTERS = 253
_MAPS = ("metadata.labels", "metadata.annotations")
# The API knows these fields, but no container is told of them.
_NEVER_TOLD = ("spec.restartPolicy", "spec.schedulerName", "status.phase")
_LIMITED = ("cpu", "memory", "ephemeral-storage")


class FieldRefError(Exception):
    """What is referred to does not exist; the text is a kubelet's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldContext:
    """What the pod's object does not hold.

    Attributes:
        host_ips: The machine's addresses as the pod's status shows them, the primary one first.
        pod_ips: The pod's, likewise; with the machine's network the machine's.
    """

    host_ips: tuple[str, ...] = ()
    pod_ips: tuple[str, ...] = ()


def field_value(
    pod: Pod, path: str, *, context: FieldContext | None = None, api_version: str = "v1"
) -> str:
    """Return the text of a pod's field.

    Labels and annotations as a whole are lines ``key="quoted value"``, sorted, without a last line
    end; a single one that the pod does not have is "".

    Args:
        pod: The pod.
        path: ``metadata.name``, ``metadata.labels['key']``, ``status.podIP``, …
        context: Addresses; a volume cannot ask for them and needs none.
        api_version: The reference's own ``apiVersion``.

    Raises:
        FieldRefError: There is no such field.
    """
    if api_version != "v1":
        raise FieldRefError(f"unsupported pod version: {api_version}")
    field, key = _split(path)
    if key is not None:
        return _entry(pod, path, field=field, key=key)
    if field in _MAPS:
        return _lines(_map(pod, field))
    values = _values(pod, context or FieldContext())
    if field in values:
        return values[field]
    if field in _NEVER_TOLD:
        raise FieldRefError(f"unsupported fieldPath: {path}")
    raise FieldRefError(f"field label not supported: {path}")


def resource_value(
    pod: Pod,
    container_name: str,
    resource: str,
    divisor: str,
    *,
    allocatable: Mapping[str, Fraction],
) -> str:
    """Return a request or limit of one of a pod's containers; see `container_resource_value`.

    Args:
        pod: The pod, with what is allocated to it.
        container_name: One of its regular or init containers.
        resource: ``limits.cpu``, …
        divisor: A quantity.
        allocatable: What stands for limits that are not set.

    Raises:
        FieldRefError: There is no such container or resource.
        QuantityError: A quantity is none.
    """
    container = next(
        (each for each in (*pod.containers, *pod.init_containers) if each.name == container_name),
        None,
    )
    if container is None:
        raise FieldRefError(f"container {container_name} not found")
    return container_resource_value(container, resource, divisor, allocatable=allocatable)


def container_resource_value(
    container: Container, resource: str, divisor: str, *, allocatable: Mapping[str, Fraction]
) -> str:
    """Return a request or limit of a container, in units of the divisor, rounded up.

    Args:
        container: With what is allocated to it.
        resource: ``limits.cpu``, ``requests.memory``, ``limits.hugepages-2Mi``, …
        divisor: A quantity; "" and "0" are 1.
        allocatable: What stands for limits of CPU, memory and storage that are not set, in units
            and bytes; see `default_limits`. Empty leaves those 0.

    Raises:
        FieldRefError: There is no such resource.
        QuantityError: A quantity is none.
    """
    kind, _, name = resource.partition(".")
    if kind not in ("limits", "requests") or not (name in _LIMITED or name.startswith(HUGEPAGES)):
        raise FieldRefError(f"unsupported container resource : {resource}")
    quantities = container.limits if kind == "limits" else container.requests
    value = parse_quantity(quantities.get(name) or "0")
    if kind == "limits" and name in _LIMITED and not value:
        value = Fraction(allocatable.get(name, 0))
    return str(_divide(value, divisor, is_cpu=name == "cpu"))


def default_limits(pod: Pod, allocatable: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Return what stands for limits that a container does not set: the pod's, else the node's.

    Environment variables are told these; volumes are told the node's alone.

    Source: kubernetes pkg/kubelet/kubelet_resources.go ``defaultPodLimitsForDownwardAPI``.

    Raises:
        QuantityError: A limit of the pod is no quantity.
    """
    own = pod_level_resources(pod, "limits")
    return {name: own.get(name) or value for name, value in allocatable.items()}


def _split(path: str) -> tuple[str, str | None]:
    """Part ``metadata.labels['key']`` into field and key; None where there is none.

    Source: kubernetes pkg/fieldpath/fieldpath.go ``SplitMaybeSubscriptedPath``.
    """
    field, opened, key = path.removesuffix("']").partition("['")
    return (field, key) if field and opened and path.endswith("']") else (path, None)


def _map(pod: Pod, field: str) -> Mapping[str, str]:
    return pod.labels if field == "metadata.labels" else pod.annotations


def _entry(pod: Pod, path: str, *, field: str, key: str) -> str:
    if field not in _MAPS:
        raise FieldRefError(f"field label does not support subscript: {path}")
    # Annotations may have upper case in their domain, as the API server sees it.
    checked = key.lower() if field == "metadata.annotations" else key
    domain = checked.partition("/")[0] if "/" in checked else ""
    if _LABEL_KEY.fullmatch(checked) is None or len(domain) > _MAX_DOMAIN_CHARACTERS:
        raise FieldRefError(f"invalid key subscript in {path}")
    return str(_map(pod, field).get(key, ""))


def _lines(values: Mapping[str, str]) -> str:
    return "\n".join(f"{key}={go_quote(values[key])}" for key in sorted(values))


def _values(pod: Pod, context: FieldContext) -> Mapping[str, str]:
    return {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": str(pod.uid),
        "spec.nodeName": pod.node_name,
        # Clients of long ago named it so.
        "spec.host": pod.node_name,
        "spec.serviceAccountName": str(pod.spec.get("serviceAccountName") or ""),
        "status.hostIP": next(iter(context.host_ips), ""),
        "status.hostIPs": ",".join(context.host_ips),
        "status.podIP": next(iter(context.pod_ips), ""),
        "status.podIPs": ",".join(context.pod_ips),
    }


def _divide(value: Fraction, divisor: str, *, is_cpu: bool) -> int:
    """Divide, both rounded up to whole units before, CPUs to thousandths."""
    by = divisor if divisor and parse_quantity(divisor) else "1"
    if is_cpu:
        return _ceil(Fraction(_ceil(value * 1000), milli_value(by)))
    return _ceil(Fraction(_ceil(value), whole_value(by)))


def _ceil(value: Fraction) -> int:
    return -((-value.numerator) // value.denominator)
