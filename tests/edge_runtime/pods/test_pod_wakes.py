"""Who is looked at again when an object changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.pods.pod_wakes import PodWakes

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json


class Pods:
    """Pods whose wakes the test reads."""

    def __init__(self, *pods: Json) -> None:
        self.pods = [Pod(each) for each in pods]
        self.woken: list[str] = []

    def active(self) -> list[Pod]:
        """Return all."""
        return list(self.pods)

    def wake(self, uid: PodUID) -> None:
        """Remember."""
        self.woken.append(uid)


def _pod(uid: str, namespace: str = "shop", **spec: object) -> Json:
    return {"metadata": {"name": uid, "namespace": namespace, "uid": uid}, "spec": spec}


def _with_settings(name: str) -> list[Json]:
    return [{"name": "c", "envFrom": [{"configMapRef": {"name": name}}]}]


def test_only_pods_that_refer_to_an_object_are_woken() -> None:
    """In variables or volumes, in the object's own namespace, of its own kind."""
    pods = Pods(
        _pod("variables", containers=_with_settings("a")),
        _pod("volume", volumes=[{"name": "v", "configMap": {"name": "a"}}]),
        _pod("other-name", containers=_with_settings("b")),
        _pod("other-namespace", "elsewhere", containers=_with_settings("a")),
        _pod("other-kind", volumes=[{"name": "v", "secret": {"secretName": "a"}}]),
    )
    wakes = PodWakes(pods)
    wakes.object_changed("ConfigMap/shop/a")
    assert pods.woken == ["variables", "volume"]


def test_a_pod_that_came_or_changed_meanwhile_is_found() -> None:
    """What a pod refers to is remembered, but only for that pod as it was."""
    pods = Pods(_pod("first", containers=_with_settings("a")))
    wakes = PodWakes(pods)
    wakes.object_changed("ConfigMap/shop/a")
    pods.pods = [
        Pod(_pod("first", containers=_with_settings("b"))),
        Pod(_pod("second", containers=_with_settings("a"))),
    ]
    wakes.object_changed("ConfigMap/shop/a")
    assert pods.woken == ["first", "second"]
    wakes.object_changed("ConfigMap/shop/b")
    assert pods.woken == ["first", "second", "first"]


def test_a_volume_that_changed_wakes_pods_with_claims() -> None:
    """Which claim has it stands in the claim, not in the pod."""
    claim = {"name": "v", "persistentVolumeClaim": {"claimName": "data"}}
    pods = Pods(_pod("claims", volumes=[claim]), _pod("plain", containers=_with_settings("a")))
    wakes = PodWakes(pods)
    wakes.object_changed("PersistentVolume//disk-1")
    wakes.object_changed("PersistentVolumeClaim/shop/data")
    wakes.object_changed("PersistentVolumeClaim/shop/other")
    assert pods.woken == ["claims", "claims"]


def test_pods_that_wait_for_services_are_woken_once_they_are_known() -> None:
    """All wait for those of "default", and for their own namespace's unless they refuse."""
    pods = Pods(_pod("links"), _pod("none", enableServiceLinks=False), _pod("far", "elsewhere"))
    wakes = PodWakes(pods)
    wakes.services_known("shop")
    assert pods.woken == ["links"]
    wakes.services_known("default")
    assert pods.woken == ["links", "links", "none", "far"]
