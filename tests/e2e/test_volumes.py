"""Volumes whose contents come from the cluster: as under a kubelet, live, and gone with the pod.

Volumes of the machine's own are in test_volume_mounts.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.mounting import (
    config_map,
    identity,
    left_of,
    pod_folder,
    pod_with,
    refusal,
    runs,
    secret,
    sees,
    shell,
)
from tests.e2e.told import becomes, containers, tells
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
HEALS_WITHIN_S = 20.0


def test_config_map_is_as_a_kubelet_shows_it(cluster: Cluster, kubectl: Kubectl) -> None:
    """Contents byte for byte, any key, nested paths, modes, and files that are all links."""
    data: dict[str, str | bytes] = {
        "text": "two\nlines",
        "binary": bytes(range(256)),
        "A-z_0.9": "any",
    }
    volumes: dict[str, Json] = {
        "all": {"configMap": {"name": "shown"}},
        "some": {
            "configMap": {
                "name": "shown",
                "defaultMode": 0o440,
                "items": [
                    {"key": "text", "path": "deep/er/text", "mode": 0o600},
                    {"key": "A-z_0.9", "path": ".own"},
                ],
            }
        },
    }
    runs(kubectl, config_map("shown", data), pod_with(cluster, "shown", volumes))
    assert shell(kubectl, "shown", "ls /mnt/all").split() == ["A-z_0.9", "binary", "text"]
    assert shell(kubectl, "shown", "cat /mnt/all/text") == "two\nlines"
    binary = kubectl.run("exec", "shown", "--", "cat", "/mnt/all/binary")
    assert binary.stdout == bytes(range(256))
    assert shell(kubectl, "shown", "readlink /mnt/all/text") == "..data/text\n"
    modes = "cd /mnt && stat -L -c '%a %u:%g' all/text some/deep/er/text some/.own"
    assert shell(kubectl, "shown", modes).splitlines() == ["644 0:0", "600 0:0", "440 0:0"]
    assert "Read-only file system" in refusal(kubectl, "shown", "echo x > /mnt/all/new")


def test_secret_is_in_memory_alone(cluster: Cluster, kubectl: Kubectl) -> None:
    """On tmpfs, 0644 unless said otherwise, and no trace of it in the edge's database."""
    word = "open-sesame-4711"
    volumes: dict[str, Json] = {"all": {"secret": {"secretName": "hidden"}}}
    runs(kubectl, secret("hidden", {"word": word}), pod_with(cluster, "hidden", volumes))
    assert shell(kubectl, "hidden", "cat /mnt/all/word; stat -L -c ' %a' /mnt/all/word") == (
        f"{word} 644\n"
    )
    assert shell(kubectl, "hidden", "stat -f -c %T /mnt/all") == "tmpfs\n"
    root = Path(cluster.environment["DEVCLUSTER_SITE_ROOT"], "edgelet")
    for file in root.glob("edgelet.db*"):
        assert word.encode() not in file.read_bytes(), f"{file} holds the Secret's value"
        assert file.stat().st_mode & 0o077 == 0, f"others may read {file}"
    volume = pod_folder(cluster, identity(kubectl, "hidden")[0]) / "volumes"
    assert (volume / "kubernetes.io~secret/all").is_mount()


def test_files_belong_to_the_pods_group(cluster: Cluster, kubectl: Kubectl) -> None:
    """With fsGroup a container that is nobody special reads what only its group may."""
    volumes: dict[str, Json] = {
        "config": {"configMap": {"name": "grouped", "defaultMode": 0o400}},
        "secret": {"secret": {"secretName": "grouped", "defaultMode": 0o400}},
        "scratch": {"emptyDir": {}},
    }
    security = {"runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000}
    made = pod_with(cluster, "grouped", volumes, securityContext=security)
    runs(kubectl, config_map("grouped", {"a": "1"}), secret("grouped", {"b": "2"}), made)
    assert shell(kubectl, "grouped", "cat /mnt/config/a /mnt/secret/b") == "12"
    modes = "cd /mnt && stat -L -c '%a %u:%g' config/a secret/b scratch"
    assert shell(kubectl, "grouped", modes).splitlines() == [
        "440 0:2000",
        "440 0:2000",
        "2777 0:2000",
    ]
    shell(kubectl, "grouped", "echo x > /mnt/scratch/own")
    assert shell(kubectl, "grouped", "stat -c %u:%g /mnt/scratch/own") == "1000:2000\n"


def test_updates_are_seen_without_a_restart(cluster: Cluster, kubectl: Kubectl) -> None:
    """All files of one change at once, keys come and go; what is mounted by subPath stays as is."""
    projected: Json = {
        "projected": {
            "sources": [
                {"configMap": {"name": "live"}},
                {"secret": {"name": "live"}},
                {
                    "downwardAPI": {
                        "items": [
                            {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                        ]
                    }
                },
            ]
        }
    }
    volumes: dict[str, Json] = {
        "config": {"configMap": {"name": "live"}},
        "secret": {"secret": {"secretName": "live"}},
        "all": projected,
        "part": {"configMap": {"name": "live"}},
    }
    made = pod_with(cluster, "live", volumes, mount={"part": {"subPath": "a"}})
    runs(kubectl, config_map("live", {"a": "1", "b": "1"}), secret("live", {"s": "1"}), made)
    before = identity(kubectl, "live")
    kubectl.apply(config_map("live", {"a": "2", "c": "2"}), secret("live", {"s": "2"}))
    kubectl.ok("label", "pod", "live", "colour=blue")
    sees(kubectl, "live", "cd /mnt/config; ls; cat a c", "a\nc\n22")
    sees(kubectl, "live", "cat /mnt/secret/s", "2")
    sees(kubectl, "live", "cd /mnt/all; ls; cat a c s", "a\nc\nlabels\ns\n222")
    sees(kubectl, "live", "cat /mnt/all/labels", 'app="live"\ncolour="blue"')
    assert shell(kubectl, "live", "cat /mnt/part") == "1"
    assert identity(kubectl, "live") == before


def test_a_secret_that_is_deleted_stays_with_who_has_it(cluster: Cluster, kubectl: Kubectl) -> None:
    """As under a kubelet: a running pod keeps the files, a new one waits for the object."""
    volumes: dict[str, Json] = {"all": {"secret": {"secretName": "leaving"}}}
    runs(kubectl, secret("leaving", {"a": "1"}), pod_with(cluster, "keeper", volumes))
    kubectl.ok("delete", "secret", "leaving")
    kubectl.apply(pod_with(cluster, "waiter", volumes))
    message = tells(kubectl, "waiter", "FailedMount", 'secret "leaving" not found', timeout_s=30)
    assert message.startswith('MountVolume.SetUp failed for volume "all" : ')
    (waiting,) = containers(becomes(kubectl, "waiter", containers)).values()
    assert waiting["state"]["waiting"]["reason"] == "ContainerCreating"
    assert shell(kubectl, "keeper", "cat /mnt/all/a") == "1"
    kubectl.apply(secret("leaving", {"a": "2"}))
    kubectl.wait("condition=Ready", "pod/waiter", timeout_s=HEALS_WITHIN_S)
    sees(kubectl, "keeper", "cat /mnt/all/a", "2")


def test_missing_keys_are_told_and_heal(cluster: Cluster, kubectl: Kubectl) -> None:
    """What is optional may be missing, and appears; what is not keeps the pod waiting."""
    items = [{"key": "late", "path": "late"}]
    volumes: dict[str, Json] = {
        "must": {"configMap": {"name": "partial", "items": items}},
        "may": {"configMap": {"name": "nowhere", "optional": True}},
        "key": {"configMap": {"name": "partial", "items": items, "optional": True}},
    }
    kubectl.apply(config_map("partial", {"a": "1"}), pod_with(cluster, "partial", volumes))
    tells(kubectl, "partial", "FailedMount", "references non-existent config key: late")
    kubectl.apply(config_map("partial", {"late": "1"}))
    kubectl.wait("condition=Ready", "pod/partial", timeout_s=HEALS_WITHIN_S)
    assert shell(kubectl, "partial", "cat /mnt/must/late /mnt/key/late; ls /mnt/may") == "11"
    kubectl.apply(config_map("nowhere", {"b": "2"}))
    sees(kubectl, "partial", "cat /mnt/may/b", "2")


def test_immutable_objects_are_mounted(cluster: Cluster, kubectl: Kubectl) -> None:
    """They are not watched, and are there all the same."""
    volumes: dict[str, Json] = {
        "config": {"configMap": {"name": "frozen"}},
        "secret": {"secret": {"secretName": "frozen"}},
    }
    kubectl.apply(
        config_map("frozen", {"a": "1"}, immutable=True),
        secret("frozen", {"b": "2"}, immutable=True),
    )
    runs(kubectl, pod_with(cluster, "frozen", volumes))
    assert shell(kubectl, "frozen", "cat /mnt/config/a /mnt/secret/b") == "12"


def test_large_config_maps(cluster: Cluster, kubectl: Kubectl) -> None:
    """One mebibyte in one key, and 5,000 keys in one object."""
    size = (1 << 20) - 8
    many = {f"key-{number}": str(number) for number in range(5000)}
    kubectl.ok("create", "-f", "-", stdin=json.dumps(config_map("big", {"a": "x" * size})).encode())
    kubectl.ok("create", "-f", "-", stdin=json.dumps(config_map("many", many)).encode())
    volumes: dict[str, Json] = {
        "big": {"configMap": {"name": "big"}},
        "many": {"configMap": {"name": "many"}},
    }
    runs(kubectl, pod_with(cluster, "large", volumes))
    assert shell(kubectl, "large", "wc -c < /mnt/big/a").strip() == str(size)
    assert shell(kubectl, "large", "ls /mnt/many | wc -l; cat /mnt/many/key-4999") == "5000\n4999"


def test_downward_api(cluster: Cluster, kubectl: Kubectl) -> None:
    """What a pod may know of itself, as files; amounts in the unit that is asked for."""
    resource = {"containerName": "main"}
    items = [
        {"path": "name", "fieldRef": {"fieldPath": "metadata.name"}},
        {"path": "uid", "fieldRef": {"fieldPath": "metadata.uid"}},
        {"path": "label", "fieldRef": {"fieldPath": "metadata.labels['app']"}},
        {"path": "notes", "fieldRef": {"fieldPath": "metadata.annotations"}, "mode": 0o400},
        {"path": "cpu", "resourceFieldRef": {**resource, "resource": "limits.cpu"}},
        {
            "path": "memory",
            "resourceFieldRef": {**resource, "resource": "requests.memory", "divisor": "1Mi"},
        },
    ]
    resources = {"limits": {"cpu": "1500m", "memory": "64Mi"}}
    volumes: dict[str, Json] = {"info": {"downwardAPI": {"items": items}}}
    made = pod_with(cluster, "downward", volumes, main={"resources": resources})
    made["metadata"]["annotations"] = {"note": 'with "quotes"\nand lines'}
    runs(kubectl, made)
    uid = identity(kubectl, "downward")[0]
    found = shell(
        kubectl,
        "downward",
        "cd /mnt/info; for f in name uid label cpu memory; do cat $f; echo; done",
    )
    assert found.splitlines() == ["downward", uid, "downward", "2", "64"]
    assert 'note="with \\"quotes\\"\\nand lines"' in shell(
        kubectl, "downward", "cat /mnt/info/notes"
    )
    assert shell(kubectl, "downward", "stat -L -c %a /mnt/info/notes") == "400\n"
    kubectl.ok("label", "pod", "downward", "app=other", "--overwrite")
    sees(kubectl, "downward", "cat /mnt/info/label", "other")


@pytest.fixture
def client(cluster: Cluster) -> Json:
    """A container's fields with which kubectl runs in it, as an in-pod client of the API server.

    Its address is given: no proxy of Services runs beside the site.
    """
    folder = (Path(cluster.environment["DEVCLUSTER_DIR"]) / "bin/kubectl").resolve().parent
    address = cluster.environment["DEVCLUSTER_API_ADDRESS"]
    return {
        "folder": str(folder),
        "env": [
            {"name": "KUBERNETES_SERVICE_HOST", "value": address},
            {"name": "KUBERNETES_SERVICE_PORT", "value": "6443"},
        ],
    }


def test_an_in_pod_client_is_who_its_token_says(
    cluster: Cluster, kubectl: Kubectl, client: Json
) -> None:
    """With nothing said in the pod: token, CA and namespace are there, the API server agrees."""
    made = pod_with(
        cluster,
        "client",
        {"bin": {"hostPath": {"path": client["folder"]}}},
        main={"env": client["env"]},
    )
    runs(kubectl, made)
    assert shell(kubectl, "client", f"ls {TOKEN_FOLDER}").split() == [
        "ca.crt",
        "namespace",
        "token",
    ]
    assert shell(kubectl, "client", f"cat {TOKEN_FOLDER}/namespace") == kubectl.namespace
    told = json.loads(shell(kubectl, "client", "/mnt/bin/kubectl auth whoami -o json"))
    user = told["status"]["userInfo"]
    assert user["username"] == f"system:serviceaccount:{kubectl.namespace}:default"
    uid = identity(kubectl, "client")[0]
    assert user["extra"]["authentication.kubernetes.io/pod-uid"] == [uid]
    assert user["extra"]["authentication.kubernetes.io/node-name"] == [cluster.site]
    assert shell(kubectl, "client", f"stat -f -c %T {TOKEN_FOLDER}") == "tmpfs\n"


def test_tokens_for_other_audiences(cluster: Cluster, kubectl: Kubectl) -> None:
    """Each of its own audience, and readable by the one user that all containers have."""
    token = {
        "serviceAccountToken": {"path": "vault", "audience": "vault", "expirationSeconds": 600}
    }
    made = pod_with(
        cluster,
        "audience",
        {"all": {"projected": {"sources": [token]}}},
        securityContext={"runAsUser": 1000},
    )
    runs(kubectl, made)
    text = shell(kubectl, "audience", "cat /mnt/all/vault")
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": text, "audiences": ["vault"]},
    }
    answer = json.loads(
        kubectl.ok("create", "-o", "json", "-f", "-", stdin=json.dumps(review).encode())
    )
    assert answer["status"]["authenticated"] is True
    assert answer["status"]["audiences"] == ["vault"]
    assert shell(kubectl, "audience", "stat -L -c '%a %u' /mnt/all/vault") == "600 1000\n"


def test_nothing_of_a_pod_is_left(cluster: Cluster, kubectl: Kubectl) -> None:
    """Neither a file nor a mount, in memory or on disk."""
    volumes: dict[str, Json] = {
        "config": {"configMap": {"name": "gone"}},
        "secret": {"secret": {"secretName": "gone"}},
        "scratch": {"emptyDir": {}},
        "memory": {"emptyDir": {"medium": "Memory"}},
        "part": {"configMap": {"name": "gone"}},
    }
    made = pod_with(cluster, "gone", volumes, mount={"part": {"subPath": "a"}})
    runs(kubectl, config_map("gone", {"a": "1"}), secret("gone", {"b": "2"}), made)
    shell(kubectl, "gone", "mkdir -p /mnt/scratch/a/b && touch /mnt/scratch/a/b/c /mnt/memory/d")
    uid = identity(kubectl, "gone")[0]
    assert left_of(cluster, uid)
    kubectl.ok("delete", "pod", "gone", "--timeout=60s", timeout_s=75)
    eventually(lambda: not left_of(cluster, uid), what="nothing is left", timeout_s=10)
