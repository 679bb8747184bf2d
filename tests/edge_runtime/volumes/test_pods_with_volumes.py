"""Whole lives of pods with volumes, over a fake runtime: before, while and after they run."""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_runtime.volumes.mount_syscalls import mount_tmpfs, read_mounts, unmount_below
from edge_runtime.volumes.mount_table import mount_at, mounts_below
from tests.fakes.edge_pods import deleted, edge_pods, is_running, pod_json, until
from tests.fakes.fake_cri import FakeCri
from tunnel.sync import ObjectPut

if TYPE_CHECKING:
    import pytest

    from tests.fakes.edge_pods import EdgePods

Json = dict[str, Any]
NOT_FOUND = 'MountVolume.SetUp failed for volume "v" : {} "x" not found'
CONFIG_MAP = {"name": "v", "configMap": {"name": "x"}}
SECRET = {"name": "v", "secret": {"secretName": "x"}}


def _pod(*volumes: Json, **spec: Any) -> Json:  # noqa: ANN401  # API JSON
    container = {
        "name": "c",
        "image": "busybox:1",
        "imagePullPolicy": "Never",
        "volumeMounts": [{"name": each["name"], "mountPath": each["name"]} for each in volumes],
    }
    return pod_json(containers=[container], volumes=list(volumes), **spec)


async def _tell(edge: EdgePods, kind: str, data: dict[str, str] | None) -> None:
    """Tell the edge of the object ``x`` as the sync stream does."""
    found: Json | None = None
    if data is not None:
        is_secret = kind == "Secret"
        found = {"data": {k: _base64(v) if is_secret else v for k, v in data.items()}}
    put = ObjectPut(kind=kind, namespace="ns", name="x", revision="r", object=found)
    await edge.parts.stores.objects.put(put)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _events(edge: EdgePods, reason: str) -> list[str]:
    return [each.message for each in edge.recorder.pending() if each.reason == reason]


def _mounts(fake: FakeCri) -> dict[str, Any]:
    """Return what the last container that was created mounts, by its path there."""
    created = fake.called("CreateContainer")[-1]
    return {each.container_path: each for each in created.config.mounts}


def _volumes(edge: EdgePods, uid: str = "u") -> Path:
    return edge.settings.pods_dir / uid / "volumes"


def _forget_all(folder: Path) -> None:
    for file in folder.glob("edgelet.db*"):
        file.unlink()


async def _holds(file: Path, text: str) -> None:
    await until(lambda: file.exists() and file.read_text() == text)


async def test_nothing_starts_before_the_volumes_are_there(tmp_path: Path) -> None:
    """Not even the sandbox; the pod waits as under a kubelet, and starts once the object comes."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await _tell(edge, "ConfigMap", None)
        await edge.put(_pod(CONFIG_MAP))
        await until(lambda: bool(_events(edge, "FailedMount")))
        assert _events(edge, "FailedMount") == [NOT_FOUND.format("configmap")]
        status = await edge.status("u", lambda _: True)
        (container,) = status["containerStatuses"]
        assert container["state"]["waiting"] == {"reason": "ContainerCreating"}
        assert fake.called("RunPodSandbox") == []
        await _tell(edge, "ConfigMap", {"key": "1"})
        await edge.status("u", is_running)
        mount = _mounts(fake)["/v"]
        assert mount.readonly
        await _holds(Path(mount.host_path, "key"), "1")
        assert mount.host_path == str(_volumes(edge) / "kubernetes.io~configmap" / "v")


async def test_a_running_pod_follows_its_object(tmp_path: Path) -> None:
    """Without a restart; what is deleted stays, is told, and keeps no container from restarting."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await _tell(edge, "ConfigMap", {"key": "1"})
        await edge.put(_pod(CONFIG_MAP))
        await edge.status("u", is_running)
        file = Path(_mounts(fake)["/v"].host_path, "key")
        await _tell(edge, "ConfigMap", {"key": "2"})
        await _holds(file, "2")
        assert len(fake.called("CreateContainer")) == 1
        await _tell(edge, "ConfigMap", None)
        await until(lambda: bool(_events(edge, "FailedMount")))
        await _holds(file, "2")
        fake.exit_container(fake.container_named("c"), 1)
        await until(lambda: len(fake.called("StartContainer")) == 2)
        await _tell(edge, "ConfigMap", {"key": "3"})
        await _holds(file, "3")


async def test_labels_are_followed(mountable: Path) -> None:
    """A pod that is labelled is not made anew."""
    item = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    pod = _pod({"name": "v", "downwardAPI": {"items": [item]}})
    async with FakeCri(mountable) as fake, edge_pods(mountable, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod)
        await edge.status("u", is_running)
        labelled = pod | {"metadata": pod["metadata"] | {"labels": {"a": "b"}}}
        await edge.put(labelled, revision="r2")
        await _holds(Path(_mounts(fake)["/v"].host_path, "labels"), 'a="b"')
        assert len(fake.called("CreateContainer")) == 1


async def test_a_pod_that_ended_keeps_no_volume(mountable: Path) -> None:
    """Its object stays for whoever asks how it went, its memory is free."""
    async with FakeCri(mountable) as fake, edge_pods(mountable, fake) as edge:
        fake.add_image("busybox:1")
        await _tell(edge, "Secret", {"password": "hunter2"})
        await edge.put(_pod(SECRET, restartPolicy="Never"))
        await edge.status("u", is_running)
        place = _volumes(edge) / "kubernetes.io~secret" / "v"
        assert mount_at(read_mounts(), str(place)) is not None
        fake.exit_container(fake.container_named("c"), 0)
        await edge.status("u", lambda status: status["phase"] == "Succeeded")
        await until(lambda: not _volumes(edge).exists())
        assert mount_at(read_mounts(), str(place)) is None


async def test_a_deleted_pod_takes_its_volumes_along(mountable: Path) -> None:
    """Gone is only told once nothing of them is left."""
    async with FakeCri(mountable) as fake, edge_pods(mountable, fake) as edge:
        fake.add_image("busybox:1")
        await _tell(edge, "Secret", {"password": "hunter2"})
        pod = _pod(SECRET, {"name": "e", "emptyDir": {}})
        await edge.put(pod)
        await edge.status("u", is_running)
        (Path(_mounts(fake)["/e"].host_path) / "file").write_text("scratch")
        await edge.put(deleted(pod), revision="r2")
        await edge.gone("u")
        assert os.listdir(edge.settings.pods_dir) == []
        assert mounts_below(read_mounts(), str(edge.settings.pods_dir)) == ()


async def test_volumes_in_use_keep_a_pod_until_they_are_free(mountable: Path) -> None:
    """It is tried again; what somebody still reads is not torn away."""
    async with FakeCri(mountable) as fake, edge_pods(mountable, fake) as edge:
        fake.add_image("busybox:1")
        await _tell(edge, "Secret", {"password": "hunter2"})
        pod = _pod(SECRET)
        await edge.put(pod)
        await edge.status("u", is_running)
        fd = os.open(Path(_mounts(fake)["/v"].host_path), os.O_RDONLY)
        await edge.put(deleted(pod), revision="r2")
        await until(lambda: not fake.sandboxes)
        await asyncio.sleep(0.2)
        assert (_volumes(edge) / "kubernetes.io~secret" / "v" / "password").exists()
        os.close(fd)
        await edge.gone("u")
        assert os.listdir(edge.settings.pods_dir) == []


async def test_what_a_reboot_took_is_there_again(mountable: Path) -> None:
    """Memory is lost and no cloud is there; the container sees it only once it is full again."""
    async with FakeCri(mountable) as fake:
        fake.add_image("busybox:1")
        async with edge_pods(mountable, fake) as edge:
            await _tell(edge, "Secret", {"password": "hunter2"})
            await edge.put(_pod(SECRET))
            await edge.status("u", is_running)
        unmount_below(_volumes(edge))
        (sandbox,) = fake.sandboxes
        fake.exit_container(fake.container_named("c"), 137)
        fake.stop_sandbox(sandbox)
        async with edge_pods(mountable, fake) as edge:
            await until(lambda: len(fake.called("StartContainer")) == 2)
            place = Path(_mounts(fake)["/v"].host_path)
            assert (place / "password").read_text() == "hunter2"
            assert mount_at(read_mounts(), str(place)) is not None


async def test_a_crash_leaves_nothing_for_ever(mountable: Path) -> None:
    """Also of a pod that this process never heard of: what it had is found on the disk."""
    async with FakeCri(mountable) as fake:
        fake.add_image("busybox:1")
        async with edge_pods(mountable, fake) as edge:
            await _tell(edge, "Secret", {"password": "hunter2"})
            await edge.put(_pod(SECRET, {"name": "e", "emptyDir": {"medium": "Memory"}}))
            await edge.status("u", is_running)
            pods_dir = edge.settings.pods_dir
        assert len(mounts_below(read_mounts(), str(pods_dir))) == 2
        _forget_all(mountable)
        async with edge_pods(mountable, fake) as edge:
            await edge.first_relist()
            await edge.manager.desired([])
            await edge.manager.orphans.remove_all()
            await until(lambda: not fake.sandboxes)
            assert not (pods_dir / "u").exists()
            assert mounts_below(read_mounts(), str(pods_dir)) == ()


async def test_folders_of_a_pod_that_the_runtime_lost_go_with_their_mounts(
    mountable: Path,
) -> None:
    """The runtime was emptied while the edge was away."""
    async with FakeCri(mountable) as fake, edge_pods(mountable, fake) as edge:
        await edge.manager.desired([])
        place = _volumes(edge, "left-behind") / "kubernetes.io~secret" / "v"
        place.mkdir(parents=True)
        mount_tmpfs(place)
        await edge.manager.orphans.remove_folders()
        assert not (edge.settings.pods_dir / "left-behind").exists()
        assert mount_at(read_mounts(), str(place)) is None


async def test_a_kind_that_cannot_be_mounted_is_named(tmp_path: Path) -> None:
    """By an event; nothing of the pod is started, and it can be deleted."""
    pod = _pod({"name": "v", "csi": {"driver": "disk.example.com"}})
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod)
        await until(lambda: bool(_events(edge, "FailedMount")))
        (message,) = _events(edge, "FailedMount")
        assert message.startswith('MountVolume.SetUp failed for volume "v" : ')
        assert "csi" in message
        assert fake.called("RunPodSandbox") == []
        await edge.put(deleted(pod), revision="r2")
        await edge.gone("u")


async def test_a_disk_that_is_full_is_told_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the machine's own words."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await _tell(edge, "ConfigMap", {"key": "1"})
        whole = Path.symlink_to

        def full(self: Path, target: str) -> None:
            raise OSError(28, "No space left on device", str(self), None, target)

        monkeypatch.setattr(Path, "symlink_to", full)
        await edge.put(_pod(CONFIG_MAP))
        await until(lambda: bool(_events(edge, "FailedMount")))
        assert "No space left on device" in _events(edge, "FailedMount")[0]
        monkeypatch.setattr(Path, "symlink_to", whole)
        await edge.status("u", is_running)
        names = os.listdir(_volumes(edge) / "kubernetes.io~configmap" / "v")
        assert sum(name.startswith("..2") for name in names) == 1
