"""Which objects a pod's variables and volumes are made of; pure.

The provider brings the same ones (provider/pods/references.py). Once one of them changes, the pod
is looked at again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.objects.volume import pod_volumes
from tunnel.sync import object_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge_runtime.objects.container import Container, Json
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.volume import Volume

# Names of the references in variables, and of what they refer to.
_VARIABLES = {"configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret"}
_VARIABLE_SETS = {"configMapRef": "ConfigMap", "secretRef": "Secret"}
_PROJECTED = {"configMap": "ConfigMap", "secret": "Secret"}


def object_keys(pod: Pod) -> frozenset[str]:
    """Return the ``object_key`` of every object that env, envFrom and volumes name."""
    found = {key for each in pod.all_containers for key in environment_keys(pod, each)}
    found |= {key for each in pod_volumes(pod) for key in volume_keys(pod, each)}
    return frozenset(found)


def environment_keys(pod: Pod, container: Container) -> frozenset[str]:
    """Return those that one container's variables name, optional ones too."""
    return frozenset(
        object_key(kind=kind, namespace=pod.namespace, name=name)
        for kind, name in _of_environment(container)
        if name
    )


def volume_keys(pod: Pod, volume: Volume) -> frozenset[str]:
    """Return those that one volume names; of a claim the claim, not the volume it is bound to."""
    return frozenset(
        object_key(kind=kind, namespace=pod.namespace, name=name)
        for kind, name in _of_volume(pod, volume)
        if name
    )


def _of_environment(container: Container) -> Iterator[tuple[str, str]]:
    for each in container.raw.get("envFrom") or ():
        yield from _named(each, _VARIABLE_SETS)
    for each in container.raw.get("env") or ():
        yield from _named(each.get("valueFrom") or {}, _VARIABLES)


def _of_volume(pod: Pod, volume: Volume) -> Iterator[tuple[str, str]]:
    source = volume.source
    match volume.kind:
        case "configMap":
            yield "ConfigMap", str(source.get("name") or "")
        case "secret":
            yield "Secret", str(source.get("secretName") or "")
        case "projected":
            for each in source.get("sources") or ():
                yield from _named(each, _PROJECTED)
        case "persistentVolumeClaim":
            yield "PersistentVolumeClaim", str(source.get("claimName") or "")
        case "ephemeral":
            # Source: kubernetes component-helpers storage/ephemeral ``VolumeClaimName``.
            yield "PersistentVolumeClaim", f"{pod.name}-{volume.name}"
        case _:
            return


def _named(holder: Json, kinds: dict[str, str]) -> Iterator[tuple[str, str]]:
    for field, kind in kinds.items():
        reference = holder.get(field)
        if reference:
            yield kind, str(reference.get("name") or "")
