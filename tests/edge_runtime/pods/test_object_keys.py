"""Which objects a pod is made of."""

from __future__ import annotations

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.volume import Volume
from edge_runtime.pods.object_keys import environment_keys, object_keys, volume_keys


def _pod(**spec: object) -> Pod:
    return Pod({"metadata": {"name": "web", "namespace": "shop", "uid": "u"}, "spec": spec})


def test_variables_of_every_container_count() -> None:
    """Init, regular and ephemeral ones; single values and whole objects, optional ones too."""
    pod = _pod(
        initContainers=[{"name": "i", "envFrom": [{"configMapRef": {"name": "a"}}]}],
        containers=[
            {
                "name": "c",
                "envFrom": [{"secretRef": {"name": "b", "optional": True}, "prefix": "X_"}],
                "env": [
                    {"name": "PLAIN", "value": "1"},
                    {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
                    {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
            }
        ],
        ephemeralContainers=[
            {
                "name": "e",
                "env": [{"name": "D", "valueFrom": {"secretKeyRef": {"name": "d", "key": "k"}}}],
            }
        ],
    )
    assert object_keys(pod) == {
        "ConfigMap/shop/a",
        "Secret/shop/b",
        "ConfigMap/shop/c",
        "Secret/shop/d",
    }
    assert environment_keys(pod, pod.containers[0]) == {"Secret/shop/b", "ConfigMap/shop/c"}


def test_volumes_of_every_kind_that_has_objects_count() -> None:
    """A claim stands for the volume that it is bound to, and a volume's own claim has its name."""
    pod = _pod(
        volumes=[
            {"name": "a", "configMap": {"name": "a"}},
            {"name": "b", "secret": {"secretName": "b", "optional": True}},
            {
                "name": "c",
                "projected": {
                    "sources": [
                        {"configMap": {"name": "kube-root-ca.crt"}},
                        {"secret": {"name": "d"}},
                        {"serviceAccountToken": {"path": "token"}},
                        {"downwardAPI": {"items": []}},
                    ]
                },
            },
            {"name": "d", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "own", "ephemeral": {"volumeClaimTemplate": {}}},
            {"name": "e", "emptyDir": {}},
            {"name": "f", "hostPath": {"path": "/x"}},
        ]
    )
    assert object_keys(pod) == {
        "ConfigMap/shop/a",
        "Secret/shop/b",
        "ConfigMap/shop/kube-root-ca.crt",
        "Secret/shop/d",
        "PersistentVolumeClaim/shop/data",
        "PersistentVolumeClaim/shop/web-own",
    }


def test_a_reference_without_a_name_is_none() -> None:
    """The API server lets old clients leave it out."""
    pod = _pod(
        containers=[{"name": "c", "envFrom": [{"configMapRef": {}}, {"secretRef": None}]}],
        volumes=[{"name": "v", "configMap": {}}, {"name": "w", "projected": {"sources": None}}],
    )
    assert object_keys(pod) == frozenset()
    assert volume_keys(pod, Volume({"name": "v"})) == frozenset()


def test_a_plain_pod_refers_to_nothing() -> None:
    """Its pull secrets are another's business."""
    assert object_keys(_pod(containers=[{"name": "c"}], imagePullSecrets=[{"name": "s"}])) == set()
