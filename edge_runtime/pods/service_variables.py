"""Variables that tell a container where the cluster's Services are; pure.

Source: kubernetes pkg/kubelet/envvars/envvars.go ``FromServices``, pkg/kubelet/kubelet_pods.go
``getServiceEnvVarMap``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import Pod

DEFAULT_NAMESPACE = "default"
# The one Service that every pod is told of, wherever it is.
API_SERVICE = "kubernetes"


def wants_service_links(pod: Pod) -> bool:
    """Tell whether a pod is told of all Services of its namespace; so it is unless it refuses."""
    return pod.spec.get("enableServiceLinks") is not False


def service_namespaces(pod: Pod) -> tuple[str, ...]:
    """Return the namespaces whose Services must be known before a container starts."""
    if wants_service_links(pod) and pod.namespace != DEFAULT_NAMESPACE:
        return (DEFAULT_NAMESPACE, pod.namespace)
    return (DEFAULT_NAMESPACE,)


def compute_service_variables(pod: Pod, services: Mapping[str, Sequence[Json]]) -> dict[str, str]:
    """Compute the variables, such as ``WEB_SERVICE_HOST`` and ``WEB_PORT_80_TCP_ADDR``.

    Args:
        pod: The pod.
        services: Those of each of `service_namespaces`.
    """
    result: dict[str, str] = {}
    for name, service in sorted(_visible(pod, services).items()):
        result.update(_variables(name, service.get("spec") or {}))
    return result


def _visible(pod: Pod, services: Mapping[str, Sequence[Json]]) -> dict[str, Json]:
    visible: dict[str, Json] = {}
    if wants_service_links(pod):
        visible = dict(_with_address(services.get(pod.namespace, ())))
    for name, service in _with_address(services.get(DEFAULT_NAMESPACE, ())):
        # A namespace's own "kubernetes" comes first, where it has one.
        if name == API_SERVICE:
            visible.setdefault(name, service)
    return visible


def _with_address(services: Iterable[Json]) -> Iterator[tuple[str, Json]]:
    for each in services:
        if (each.get("spec") or {}).get("clusterIP") not in (None, "", "None"):
            yield str(each["metadata"]["name"]), each


def _variables(name: str, spec: Json) -> Iterator[tuple[str, str]]:
    prefix, host = _variable_name(name), str(spec["clusterIP"])
    yield f"{prefix}_SERVICE_HOST", host
    for index, port in enumerate(spec.get("ports") or ()):
        number, protocol = int(port["port"]), str(port.get("protocol") or "TCP")
        if index == 0:
            yield f"{prefix}_SERVICE_PORT", str(number)
        if port.get("name"):
            yield f"{prefix}_SERVICE_PORT_{_variable_name(port['name'])}", str(number)
        url = f"{protocol.lower()}://{f'[{host}]' if ':' in host else host}:{number}"
        if index == 0:
            yield f"{prefix}_PORT", url
        of_port = f"{prefix}_PORT_{number}_{protocol.upper()}"
        yield of_port, url
        yield f"{of_port}_PROTO", protocol.lower()
        yield f"{of_port}_PORT", str(number)
        yield f"{of_port}_ADDR", host


def _variable_name(name: str) -> str:
    return name.replace("-", "_").upper()
