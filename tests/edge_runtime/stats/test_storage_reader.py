"""What pods keep on disks adds up as a kubelet adds it."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.node_stats import DiskUse
from edge_runtime.objects.runtime_stats import ContainerStats, FilesystemUsage, ImageFsInfo
from edge_runtime.stats.storage_reader import StorageReader
from tests.edge_runtime.stats.figures import NOW_NS, container, pod

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from edge_runtime.objects.node_stats import FilesystemStats
    from edge_runtime.objects.pod import PodUID


@dataclass(frozen=True)
class _Folders:
    root: Path

    @property
    def pods_dir(self) -> Path:
        return self.root / "edgelet/pods"

    @property
    def pod_logs_dir(self) -> Path:
        return self.root / "logs"


class _Runtime:
    def __init__(self, mountpoint: Path) -> None:
        self._mountpoint = str(mountpoint)

    async def list_container_stats(
        self, *, pod_uid: PodUID | None = None
    ) -> Sequence[ContainerStats]:
        assert pod_uid is None
        layer = self._usage(20_480, 8)
        known = ContainerStats(id=ContainerID("id-c"), name="c", writable_layer=layer)
        return [known, ContainerStats(id=ContainerID("id-d"), name="d")]

    async def image_fs_info(self) -> ImageFsInfo:
        return ImageFsInfo(image_filesystems=(self._usage(2_805_760, 313),))

    def _usage(self, used_bytes: int, inodes: int) -> FilesystemUsage:
        return FilesystemUsage(
            timestamp_ns=NOW_NS,
            mountpoint=self._mountpoint,
            used_bytes=used_bytes,
            inodes_used=inodes,
        )


def _use(stats: FilesystemStats | None) -> DiskUse:
    assert stats is not None
    assert stats.capacity_bytes
    assert stats.available_bytes
    return DiskUse(size_bytes=stats.used_bytes or 0, inodes=stats.inodes_used or 0)


def _write(file: Path, size_bytes: int) -> int:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * size_bytes)
    return file.lstat().st_blocks * 512


async def test_all_that_a_pod_keeps(tmp_path: Path) -> None:
    """Memory volumes and secrets lie on no disk: they are told, and not added."""
    folders = _Folders(tmp_path)
    mine = folders.pods_dir / "u-p"
    hosts = _write(mine / "etc-hosts", 10)
    log = _write(folders.pod_logs_dir / "n_p_u-p/c/0.log", 5000)
    data = _write(mine / "volumes/kubernetes.io~empty-dir/data/file", 9000)
    _write(mine / "volumes/kubernetes.io~secret/token/file", 9000)
    reader = StorageReader(_Runtime(tmp_path), folders=folders)
    told = await reader.ask_runtime()
    found = reader.read([pod(container(), container("d"))], told)
    mine_found = found.pods[pod().uid]

    volume = (mine / "volumes/kubernetes.io~empty-dir/data").lstat().st_blocks * 512
    assert {each.name for each in mine_found.volumes} == {"data", "token"}
    assert _use(mine_found.volumes[0].filesystem) == DiskUse(size_bytes=data + volume, inodes=2)
    assert _use(mine_found.logs["c"]) == DiskUse(size_bytes=log, inodes=1)
    assert _use(mine_found.logs["d"]) == DiskUse()
    assert _use(mine_found.rootfs[ContainerID("id-c")]) == DiskUse(size_bytes=20_480, inodes=8)
    assert ContainerID("id-d") not in mine_found.rootfs
    assert _use(mine_found.ephemeral) == DiskUse(
        size_bytes=20_480 + log + data + volume + hosts, inodes=8 + 1 + 2 + 1
    )


async def test_a_volume_that_cannot_be_read_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One pod's broken mount keeps no figures of the others from whoever asks."""
    folders = _Folders(tmp_path)
    volumes = folders.pods_dir / "u-p/volumes/kubernetes.io~empty-dir"
    _write(volumes / "good/file", 10)
    _write(volumes / "bad/file", 10)
    opened = os.open

    def refuse(path: str, flags: int, **kwargs: int) -> int:
        if path.endswith("bad"):
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected", path)
        return opened(path, flags, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    reader = StorageReader(_Runtime(tmp_path), folders=folders)
    found = reader.read([pod()], await reader.ask_runtime())
    assert [each.name for each in found.pods[pod().uid].volumes] == ["good"]
    assert "the use of a volume is not known" in caplog.text


async def test_the_filesystems_of_the_machine(tmp_path: Path) -> None:
    """A runtime that has one for all tells it for both."""
    folders = _Folders(tmp_path)
    folders.pods_dir.mkdir(parents=True)
    reader = StorageReader(_Runtime(tmp_path), folders=folders)
    found = reader.read([], await reader.ask_runtime())
    assert _use(found.image) == _use(found.container)
    assert _use(found.image) == DiskUse(size_bytes=2_805_760, inodes=313)
    assert _use(found.root).size_bytes > 0


async def test_a_folder_of_the_runtime_that_is_not_there_is_told_without_its_space(
    tmp_path: Path,
) -> None:
    """Before the first image there is none."""
    folders = _Folders(tmp_path)
    folders.pods_dir.mkdir(parents=True)
    reader = StorageReader(_Runtime(tmp_path / "none"), folders=folders)
    found = reader.read([pod()], await reader.ask_runtime())
    assert found.image is not None
    assert found.image.used_bytes == 2_805_760
    assert found.image.capacity_bytes is None
