"""Volumes of the machine's own, and how containers mount volumes: never a way out of them."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
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
    shell,
)
from tests.e2e.pods import container, pod
from tests.e2e.told import becomes, containers, ends, tells
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

Json = dict[str, Any]
MIB = 1 << 20


@pytest.fixture
def folder(cluster: Cluster) -> Iterator[Path]:
    """A folder of the machine, on the mount that containers share; everybody may look into it."""
    made = Path(tempfile.mkdtemp(prefix="host-", dir=cluster.environment["DEVCLUSTER_SITE_ROOT"]))
    made.chmod(0o755)
    yield made
    subprocess.run(["rm", "-rf", "--one-file-system", made], check=True, timeout=30)


def test_scratch_space_is_shared_and_outlives_containers(
    cluster: Cluster, kubectl: Kubectl
) -> None:
    """Everybody may write, one container sees what another wrote, a restart loses nothing."""
    mounts = [{"name": "scratch", "mountPath": "/mnt/scratch"}]
    made = pod(
        "scratch",
        container("main", volumeMounts=mounts),
        container("other", volumeMounts=mounts, securityContext={"runAsUser": 1000}),
        site=cluster.site,
        volumes=[{"name": "scratch", "emptyDir": {}}],
    )
    runs(kubectl, made)
    assert shell(kubectl, "scratch", "stat -c %a /mnt/scratch") == "777\n"
    shell(kubectl, "scratch", "echo hello > /mnt/scratch/said", of="other")
    # The container's end may take the exec along.
    kubectl.run("exec", "scratch", "-c", "main", "--", "kill", "1")
    becomes(kubectl, "scratch", lambda told: _restarts(told) == 1)
    kubectl.wait("condition=Ready", "pod/scratch", timeout_s=30)
    assert shell(kubectl, "scratch", "cat /mnt/scratch/said") == "hello\n"


def _restarts(told: Json) -> int:
    return int(containers(told)["main"]["restartCount"])


def test_memory_is_held_to_its_limit(cluster: Cluster, kubectl: Kubectl) -> None:
    """The kernel refuses what is more, and nobody is evicted for it."""
    volumes: dict[str, Json] = {"memory": {"emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}}
    runs(kubectl, pod_with(cluster, "memory", volumes))
    assert shell(kubectl, "memory", "stat -f -c %T /mnt/memory") == "tmpfs\n"
    fill = "dd if=/dev/zero of=/mnt/memory/all bs=64k count=64"
    assert "No space left on device" in refusal(kubectl, "memory", fill)
    assert shell(kubectl, "memory", "wc -c < /mnt/memory/all").strip() == str(MIB)


def test_scratch_space_over_its_limit_ends_the_pod(cluster: Cluster, kubectl: Kubectl) -> None:
    """As under a kubelet: evicted, with the volume and its limit in the message."""
    volumes: dict[str, Json] = {"scratch": {"emptyDir": {"sizeLimit": "1Mi"}}}
    runs(kubectl, pod_with(cluster, "greedy", volumes))
    shell(kubectl, "greedy", "dd if=/dev/zero of=/mnt/scratch/all bs=1M count=4")
    told = ends(kubectl, "greedy", "Failed", timeout_s=60)
    assert told["reason"] == "Evicted"
    assert 'Usage of EmptyDir volume "scratch" exceeds the limit "1Mi"' in told["message"]


def test_host_paths_of_every_type(cluster: Cluster, kubectl: Kubectl, folder: Path) -> None:
    """What is there is mounted, what may be made is made, as root's alone to write."""
    (folder / "there").mkdir()
    (folder / "file").write_text("hello")
    made = {
        "any": (folder / "there", ""),
        "directory": (folder / "there", "Directory"),
        "new": (folder / "made/below", "DirectoryOrCreate"),
        "file": (folder / "file", "File"),
        "fresh": (folder / "fresh", "FileOrCreate"),
        "socket": (Path(cluster.environment["DEVCLUSTER_CONTAINERD_ADDRESS"]), "Socket"),
        "device": (Path("/dev/null"), "CharDevice"),
    }
    volumes: dict[str, Json] = {
        name: {"hostPath": {"path": str(path), "type": kind}} for name, (path, kind) in made.items()
    }
    runs(kubectl, pod_with(cluster, "host", volumes))
    assert shell(kubectl, "host", "cat /mnt/file") == "hello"
    shell(kubectl, "host", "echo out > /mnt/new/out; echo in > /mnt/fresh; echo > /mnt/device")
    assert (folder / "made/below/out").read_text() == "out\n"
    assert (folder / "fresh").read_text() == "in\n"
    assert [oct((folder / each).stat().st_mode) for each in ("made/below", "fresh")] == [
        "0o40755",
        "0o100644",
    ]
    assert shell(kubectl, "host", "stat -c %F /mnt/socket /mnt/device").splitlines() == [
        "socket",
        "character special file",
    ]


def test_host_paths_of_another_type_are_told(
    cluster: Cluster, kubectl: Kubectl, folder: Path
) -> None:
    """The pod waits, and starts once the path is what it was said to be."""
    volumes: dict[str, Json] = {"wrong": {"hostPath": {"path": f"{folder}/x", "type": "Directory"}}}
    kubectl.apply(pod_with(cluster, "wrong", volumes))
    message = tells(kubectl, "wrong", "FailedMount")
    assert message == (
        'MountVolume.SetUp failed for volume "wrong" : hostPath type check failed: '
        f"{folder}/x is not a directory"
    )
    (folder / "x").mkdir()
    kubectl.wait("condition=Ready", "pod/wrong", timeout_s=60)


def test_a_part_of_a_volume(cluster: Cluster, kubectl: Kubectl, folder: Path) -> None:
    """By its name or by what the container's environment says, made where it is missing."""
    mounts = [
        {"name": "host", "mountPath": "/mnt/named", "subPath": "a/b"},
        {"name": "host", "mountPath": "/mnt/said", "subPathExpr": "$(WHO)/$(POD_NAME)"},
        {"name": "config", "mountPath": "/etc/app.conf", "subPath": "conf"},
        {"name": "host", "mountPath": "/mnt/read", "subPath": "a", "readOnly": True},
    ]
    env = [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "WHO", "value": "me"},
    ]
    made = pod(
        "parts",
        container(volumeMounts=mounts, env=env),
        site=cluster.site,
        volumes=[
            {"name": "host", "hostPath": {"path": str(folder)}},
            {"name": "config", "configMap": {"name": "parts"}},
        ],
    )
    runs(kubectl, config_map("parts", {"conf": "on = yes"}), made)
    shell(kubectl, "parts", "echo 1 > /mnt/named/x; echo 2 > /mnt/said/y")
    assert (folder / "a/b/x").read_text() == "1\n"
    assert (folder / "me/parts/y").read_text() == "2\n"
    assert shell(kubectl, "parts", "cat /etc/app.conf") == "on = yes"
    assert "Read-only file system" in refusal(kubectl, "parts", "echo x > /mnt/read/z")
    uid = identity(kubectl, "parts")[0]
    kubectl.ok("delete", "pod", "parts", "--timeout=60s", timeout_s=75)
    eventually(lambda: not left_of(cluster, uid), what="nothing is left", timeout_s=10)
    assert (folder / "a/b/x").exists(), "what is the machine's stays"


@pytest.mark.parametrize("target", ["/etc", "../outside", "a/../../outside"])
def test_no_link_leads_out_of_a_volume(
    cluster: Cluster, kubectl: Kubectl, folder: Path, target: str
) -> None:
    """A subPath that a pod made a link to elsewhere is refused, and nothing is made there."""
    inside, outside = folder / "inside", folder / "outside"
    (inside / "a").mkdir(parents=True)
    outside.mkdir()
    (inside / "way").symlink_to(target)
    name = f"link-{len(target)}"
    volumes: dict[str, Json] = {"host": {"hostPath": {"path": str(inside)}}}
    kubectl.apply(pod_with(cluster, name, volumes, mount={"host": {"subPath": "way/new"}}))

    def refused() -> Json:
        state: Json = containers(kubectl.json("get", "pod", name)["status"])["main"]["state"]
        assert state["waiting"]["reason"] == "CreateContainerConfigError", state
        return state

    said = eventually(refused, what="the link is refused", timeout_s=40)
    assert 'failed to prepare subPath for volumeMount "host"' in said["waiting"]["message"]
    assert list(outside.iterdir()) == []
    assert not Path("/etc/new").exists()


def test_mounts_made_later_reach_who_asks_for_them(
    cluster: Cluster, kubectl: Kubectl, folder: Path
) -> None:
    """HostToContainer sees a mount that the machine makes, without it nobody does."""
    source = {"hostPath": {"path": str(folder)}}
    volumes: dict[str, Json] = {"sees": source, "blind": source}
    made = pod_with(
        cluster, "later", volumes, mount={"sees": {"mountPropagation": "HostToContainer"}}
    )
    (folder / "new").mkdir()
    runs(kubectl, made)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder / "new"], check=True, timeout=10)
    try:
        (folder / "new/file").touch()
        assert shell(kubectl, "later", "ls /mnt/sees/new; ls /mnt/blind/new") == "file\n"
    finally:
        subprocess.run(["umount", folder / "new"], check=True, timeout=10)


def test_mounts_of_a_container_reach_the_machine(
    cluster: Cluster, kubectl: Kubectl, folder: Path
) -> None:
    """Bidirectional: what it mounts is the machine's, too; what it leaves in scratch space goes."""
    volumes: dict[str, Json] = {
        "host": {"hostPath": {"path": str(folder)}},
        "own": {"emptyDir": {}},
    }
    both = {"mountPropagation": "Bidirectional"}
    made = pod_with(
        cluster,
        "shares",
        volumes,
        mount={"host": both, "own": both},
        main={"securityContext": {"privileged": True}},
    )
    runs(kubectl, made)
    uid = identity(kubectl, "shares")[0]
    own = pod_folder(cluster, uid) / "volumes/kubernetes.io~empty-dir/own/new"
    script = "for v in host own; do mkdir /mnt/$v/new; mount -t tmpfs t /mnt/$v/new; done"
    shell(kubectl, "shares", script)
    try:
        assert (folder / "new").is_mount()
        assert own.is_mount()
        kubectl.ok("delete", "pod", "shares", "--timeout=60s", timeout_s=75)
        eventually(lambda: not left_of(cluster, uid), what="all of the pod is gone", timeout_s=30)
        assert (folder / "new").is_mount(), "it is the machine's"
    finally:
        subprocess.run(["umount", folder / "new"], check=True, timeout=10)


def test_recursive_read_only_is_told_where_the_runtime_lacks_it(
    cluster: Cluster, kubectl: Kubectl, folder: Path
) -> None:
    """IfPossible starts all the same; Enabled waits and says why, unless the runtime has it."""
    handlers = cluster.node()["status"].get("runtimeHandlers") or []
    is_able = any(
        each["name"] == "" and each.get("features", {}).get("recursiveReadOnlyMounts")
        for each in handlers
    )
    (folder / "below").mkdir()
    volumes: dict[str, Json] = {"host": {"hostPath": {"path": str(folder)}}}
    wishes = {"readOnly": True, "recursiveReadOnly": "IfPossible"}
    runs(kubectl, pod_with(cluster, "if-possible", volumes, mount={"host": wishes}))
    assert "Read-only" in refusal(kubectl, "if-possible", "touch /mnt/host/x")
    wishes["recursiveReadOnly"] = "Enabled"
    strict = pod_with(cluster, "enabled", volumes, mount={"host": wishes})
    if is_able:
        runs(kubectl, strict)
        return
    kubectl.apply(strict)
    tells(kubectl, "enabled", "Failed", "failed to resolve recursive read-only mode")


def persistent(name: str, namespace: str, source: Json, *, site: str) -> list[Json]:
    """Return a PersistentVolume on a site and the claim that it is for."""
    terms = [{"key": "kubernetes.io/hostname", "operator": "In", "values": [site]}]
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "",
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": terms}]}},
        "claimRef": {"namespace": namespace, "name": name},
        **source,
    }
    claim = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "",
        "volumeName": name,
        "resources": {"requests": {"storage": "1Gi"}},
    }
    return [
        {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name},
            "spec": claim,
        },
    ]


@pytest.mark.parametrize("kind", ["local", "hostPath"])
def test_persistent_volumes_outlive_their_pods(
    cluster: Cluster, kubectl: Kubectl, folder: Path, kind: str
) -> None:
    """Claims that are bound by the control plane are mounted; what is in them stays."""
    name = f"kept-{kind.lower()}"
    objects = persistent(name, kubectl.namespace, {kind: {"path": str(folder)}}, site=cluster.site)
    volumes: dict[str, Json] = {"data": {"persistentVolumeClaim": {"claimName": name}}}
    try:
        runs(kubectl, *objects, pod_with(cluster, f"{name}-1", volumes))
        shell(kubectl, f"{name}-1", "echo kept > /mnt/data/file")
        kubectl.ok("delete", "pod", f"{name}-1", "--timeout=60s", timeout_s=75)
        runs(kubectl, pod_with(cluster, f"{name}-2", volumes))
        assert shell(kubectl, f"{name}-2", "cat /mnt/data/file") == "kept\n"
        assert (folder / "file").read_text() == "kept\n"
    finally:
        kubectl.ok("delete", "pod", "--all", "--timeout=60s", timeout_s=75)
        kubectl.ok("delete", "pvc,pv", name, "--ignore-not-found", "--timeout=60s", timeout_s=75)


def test_how_full_a_claim_is_can_be_asked(cluster: Cluster, kubectl: Kubectl, folder: Path) -> None:
    """Of the Summary and of Prometheus, as of a kubelet: its filesystem's own figures."""
    objects = persistent(
        "full", kubectl.namespace, {"local": {"path": str(folder)}}, site=cluster.site
    )
    volumes: dict[str, Json] = {"data": {"persistentVolumeClaim": {"claimName": "full"}}}
    claim = {"name": "full", "namespace": kubectl.namespace}
    node = f"/api/v1/nodes/{cluster.site}/proxy"
    series = (
        f'kubelet_volume_stats_capacity_bytes{{namespace="{kubectl.namespace}",'
        'persistentvolumeclaim="full"} '
    )

    def told() -> Json:
        summary = json.loads(kubectl.ok("get", "--raw", f"{node}/stats/summary"))
        found = [volume for one in summary["pods"] for volume in one.get("volume", ())]
        (mine,) = (volume for volume in found if volume.get("pvcRef") == claim)
        lines = kubectl.ok("get", "--raw", f"{node}/metrics").splitlines()
        (line,) = (line for line in lines if line.startswith(series))
        assert float(line.removeprefix(series)) == mine["capacityBytes"]
        return dict(mine)

    def is_told() -> Json:
        try:
            return told()
        except ValueError as exc:
            raise AssertionError("the claim is not told of") from exc

    try:
        runs(kubectl, *objects, pod_with(cluster, "full", volumes))
        # Figures of volumes are up to half a minute old.
        mine = eventually(is_told, what="the claim is told of", timeout_s=60, every_s=2)
        space = os.statvfs(folder)
        assert mine["name"] == "data"
        assert mine["capacityBytes"] == space.f_blocks * space.f_frsize
        assert mine["inodes"] == space.f_files
        assert abs(mine["availableBytes"] - space.f_bavail * space.f_frsize) < 512 * MIB
    finally:
        kubectl.ok("delete", "pod", "full", "--ignore-not-found", "--timeout=60s", timeout_s=75)
        kubectl.ok("delete", "pvc,pv", "full", "--ignore-not-found", "--timeout=60s", timeout_s=75)


def test_a_local_volume_of_another_node_is_not_mounted(
    cluster: Cluster, kubectl: Kubectl, folder: Path
) -> None:
    """Even where somebody put the pod here past the scheduler."""
    objects = persistent(
        "elsewhere", kubectl.namespace, {"local": {"path": str(folder)}}, site="elsewhere"
    )
    volumes: dict[str, Json] = {"data": {"persistentVolumeClaim": {"claimName": "elsewhere"}}}
    made = pod_with(cluster, "elsewhere", volumes, nodeName=cluster.site)
    try:
        kubectl.apply(*objects, made)
        tells(kubectl, "elsewhere", "FailedMount", "no matching NodeSelectorTerms", timeout_s=40)
    finally:
        kubectl.ok("delete", "pod", "elsewhere", "--timeout=60s", timeout_s=75)
        kubectl.ok("delete", "pvc,pv", "elsewhere", "--timeout=60s", timeout_s=75)


def test_what_is_not_supported_is_named(cluster: Cluster, kubectl: Kubectl) -> None:
    """A driver that runs on no site: an event says so, and nothing is started."""
    volumes: dict[str, Json] = {"far": {"csi": {"driver": "disk.example.com"}}}
    kubectl.apply(pod_with(cluster, "far", volumes))
    message = tells(kubectl, "far", "FailedMount")
    assert message == (
        'MountVolume.SetUp failed for volume "far" : this edgelet does not support volumes of kind'
        " csi (driver disk.example.com)"
    )
    told = becomes(kubectl, "far", lambda one: one["phase"] == "Pending")
    assert containers(told)["main"]["state"]["waiting"]["reason"] == "ContainerCreating"


def test_a_path_that_is_a_file_already(cluster: Cluster, kubectl: Kubectl) -> None:
    """A pod that puts a file where its volume's parts belong hurts itself alone."""
    volumes: dict[str, Json] = {"scratch": {"emptyDir": {}}}
    made = pod_with(cluster, "blocked", volumes, mount={"scratch": {"subPath": "a/b"}})
    made["spec"]["initContainers"] = [
        container(
            "first",
            script="echo > /mnt/all/a",
            volumeMounts=[{"name": "scratch", "mountPath": "/mnt/all"}],
        )
    ]
    kubectl.apply(made)
    tells(kubectl, "blocked", "Failed", "failed to prepare subPath", timeout_s=40)
    uid = kubectl.json("get", "pod", "blocked")["metadata"]["uid"]
    file = pod_folder(cluster, uid) / "volumes/kubernetes.io~empty-dir/scratch/a"
    assert file.read_text() == "\n"
