"""What a pod refers to."""

from __future__ import annotations

from typing import Any

import pytest

from provider.pods.references import KINDS, ObjectRef, claim_volume, pod_references


def make_pod(phase: str = "Pending", **spec: Any) -> dict[str, Any]:  # noqa: ANN401  # API JSON
    """Return a pod with this spec."""
    return {"metadata": {"namespace": "ns", "name": "p"}, "spec": spec, "status": {"phase": phase}}


@pytest.mark.parametrize(
    ("spec", "keys"),
    [
        ({}, set()),
        ({"imagePullSecrets": None, "runtimeClassName": None}, set()),
        ({"imagePullSecrets": [{"name": "b"}, {"name": "a"}, {}]}, {"Secret/ns/a", "Secret/ns/b"}),
        ({"imagePullSecrets": [{"name": "a"}, {"name": "a"}]}, {"Secret/ns/a"}),
        ({"runtimeClassName": "kata"}, {"RuntimeClass//kata"}),
    ],
)
def test_references_of_a_spec(spec: dict[str, Any], keys: set[str]) -> None:
    """Each object once; empty names are nobody's."""
    assert {ref.key for ref in pod_references(make_pod(**spec))} == keys


def env_of(container_list: str, **container: Any) -> dict[str, Any]:  # noqa: ANN401  # API JSON
    """Return a spec with one container in this list."""
    return {container_list: [{"name": "c", **container}]}


@pytest.mark.parametrize("containers", ["initContainers", "containers", "ephemeralContainers"])
@pytest.mark.parametrize(
    ("container", "keys"),
    [
        ({"env": None, "envFrom": None}, set()),
        ({"env": [{"name": "A", "value": "x"}, {"name": "B"}]}, set()),
        ({"env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}]}, set()),
        (
            {
                "env": [
                    {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
                ]
            },
            {"ConfigMap/ns/m", "Secret/ns/s"},
        ),
        (
            {"envFrom": [{"configMapRef": {"name": "m"}}, {"secretRef": {"name": "s"}}]},
            {"ConfigMap/ns/m", "Secret/ns/s"},
        ),
        (
            {"envFrom": [{"configMapRef": {"name": "m", "optional": True}, "secretRef": None}]},
            {"ConfigMap/ns/m"},
        ),
    ],
)
def test_references_of_an_environment(
    containers: str, container: dict[str, Any], keys: set[str]
) -> None:
    """In every kind of container, and optional ones too: they may be there."""
    assert {ref.key for ref in pod_references(make_pod(**env_of(containers, **container)))} == keys


@pytest.mark.parametrize(
    ("volume", "keys"),
    [
        ({"emptyDir": {}}, set()),
        ({"hostPath": {"path": "/x"}}, set()),
        ({"configMap": {"name": "m"}}, {"ConfigMap/ns/m"}),
        ({"secret": {"secretName": "s"}}, {"Secret/ns/s"}),
        ({"persistentVolumeClaim": {"claimName": "c"}}, {"PersistentVolumeClaim/ns/c"}),
        ({"ephemeral": {"volumeClaimTemplate": {}}}, {"PersistentVolumeClaim/ns/p-v"}),
        ({"projected": {"sources": None}}, set()),
        (
            {
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "token"}},
                        {"configMap": {"name": "kube-root-ca.crt"}},
                        {"secret": {"name": "s"}},
                        {"downwardAPI": {"items": []}},
                    ]
                }
            },
            {"ConfigMap/ns/kube-root-ca.crt", "Secret/ns/s"},
        ),
        ({"csi": {"driver": "d", "nodePublishSecretRef": {"name": "s"}}}, set()),
        ({"azureFile": {"secretName": "s"}}, set()),
    ],
)
def test_references_of_a_volume(volume: dict[str, Any], keys: set[str]) -> None:
    """Of what no edge mounts, no secret goes there."""
    pod = make_pod(volumes=[{"name": "v", **volume}])
    assert {ref.key for ref in pod_references(pod)} == keys


def test_every_reference_is_of_a_kind_that_can_be_asked_for() -> None:
    """Claims and volumes by polling: a node may not watch them."""
    pod = make_pod(
        runtimeClassName="kata",
        imagePullSecrets=[{"name": "s"}],
        volumes=[{"configMap": {"name": "m"}}, {"persistentVolumeClaim": {"claimName": "c"}}],
    )
    kinds = {ref.kind: KINDS[ref.kind].is_watchable for ref in pod_references(pod)}
    assert kinds == {
        "RuntimeClass": True,
        "Secret": True,
        "ConfigMap": True,
        "PersistentVolumeClaim": False,
    }


@pytest.mark.parametrize(
    ("claim", "key"),
    [
        ({}, None),
        ({"spec": {}, "status": {"phase": "Pending"}}, None),
        ({"spec": {"volumeName": "pv"}, "status": {"phase": "Pending"}}, None),
        ({"spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}, "PersistentVolume//pv"),
    ],
)
def test_volume_of_a_claim(claim: dict[str, Any], key: str | None) -> None:
    """Only a bound one: before, a node may not read it."""
    volume = claim_volume(claim)
    assert (volume and volume.key) == key


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_ended_needs_nothing(phase: str) -> None:
    """It is never started again."""
    assert pod_references(make_pod(phase, imagePullSecrets=[{"name": "a"}])) == frozenset()


@pytest.mark.parametrize(
    ("name", "can_exist"),
    [
        ("a", True),
        ("a-b.c1", True),
        ("..", False),
        ("a/b", False),
        ("A", False),
        ("a" * 254, False),
    ],
)
def test_names_that_no_object_has(name: str, *, can_exist: bool) -> None:
    """The API server lets pods name anything as a pull secret."""
    assert ObjectRef(kind="Secret", namespace="ns", name=name).can_exist is can_exist
