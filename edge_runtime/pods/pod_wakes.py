"""PodWakes: pods are looked at again once what they are made of changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_runtime.pods.object_keys import object_keys
from edge_runtime.pods.service_variables import service_namespaces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import Pod, PodUID

_CLAIM = "PersistentVolumeClaim/"
_VOLUME = "PersistentVolume/"


class WokenPods(Protocol):
    """The pods of this machine (pods/pod_workers.py)."""

    def active(self) -> Sequence[Pod]:
        """Return the pods that run, will run, or still end."""
        ...

    def wake(self, uid: PodUID) -> None:
        """Look at a pod again now; never waits."""
        ...


class PodWakes:
    """Finds the pods that refer to an object; never waits."""

    def __init__(self, pods: WokenPods) -> None:
        self._pods = pods
        # By UID: the pod's JSON, which nobody changes, and what it refers to.
        self._keys: dict[PodUID, tuple[Json, frozenset[str]]] = {}

    def object_changed(self, key: str) -> None:
        """Wake the pods whose variables or volumes are made of an object, by `object_key`."""
        active = self._pods.active()
        self._keys = {each.uid: self._keys_of(each) for each in active}
        for pod in active:
            if _concerns(key, self._keys[pod.uid][1]):
                self._pods.wake(pod.uid)

    def services_known(self, namespace: str) -> None:
        """Wake the pods that wait for the first list of a namespace's Services."""
        for pod in self._pods.active():
            if namespace in service_namespaces(pod):
                self._pods.wake(pod.uid)

    def _keys_of(self, pod: Pod) -> tuple[Json, frozenset[str]]:
        known = self._keys.get(pod.uid)
        if known is not None and known[0] is pod.raw:
            return known
        return pod.raw, object_keys(pod)


def _concerns(key: str, keys: frozenset[str]) -> bool:
    # Which volume a claim is bound to stands in the claim alone.
    is_volume = key.startswith(_VOLUME)
    return key in keys or (is_volume and any(each.startswith(_CLAIM) for each in keys))
