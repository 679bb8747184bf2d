"""Volumes that are mounted from elsewhere are asked how full they are, and may hang."""

from __future__ import annotations

import dataclasses
import threading
import time
from typing import TYPE_CHECKING

from edge_runtime.objects.node_stats import FilesystemStats
from edge_runtime.stats.mounted_volumes import MOUNTED_PLUGINS, MountedVolumes
from tests.edge_runtime.stats.figures import NOW_NS, pod

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_POD = dataclasses.replace(pod(), claims={"data": "claim"})


def _make(pods_dir: Path, plugin: str, name: str) -> Path:
    folder = pods_dir / _POD.uid / "volumes" / plugin / name
    folder.mkdir(parents=True)
    return folder


def test_a_claim_has_its_filesystems_space(tmp_path: Path) -> None:
    """And its reference; volumes that go with the pod are not asked for here."""
    _make(tmp_path, "kubernetes.io~persistent-volume-claim", "data")
    _make(tmp_path, "kubernetes.io~nfs", "share")
    _make(tmp_path, "kubernetes.io~empty-dir", "cache")
    (found,) = MountedVolumes(tmp_path).read([_POD, pod(name="other")]).values()
    assert {(each.name, each.claim) for each in found} == {
        ("data", ("n", "claim")),
        ("share", None),
    }
    assert all(each.filesystem.capacity_bytes for each in found)


def test_one_that_hangs_keeps_no_other_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is left out, not asked again while it hangs, and told when it answers again."""
    release, asked = threading.Event(), list[str]()

    def ask(path: Path) -> FilesystemStats:
        asked.append(path.name)
        if path.name == "data":
            assert release.wait(60)
        return FilesystemStats(timestamp_ns=NOW_NS, capacity_bytes=1)

    for plugin, name in zip(MOUNTED_PLUGINS, ("scratch", "share", "data"), strict=True):
        _make(tmp_path, plugin, name)
    volumes = MountedVolumes(tmp_path, timeout_s=0.2, ask=ask)

    def names() -> set[str]:
        return {each.name for found in volumes.read([_POD]).values() for each in found}

    try:
        assert names() == {"scratch", "share"}
        assert [vars(each)["reason"] for each in caplog.records] == ["it does not answer"]
        began = time.monotonic()
        assert names() == {"scratch", "share"}
        assert time.monotonic() - began < 0.2, "it was waited for again"
        assert asked.count("data") == 1
    finally:
        release.set()
    for thread in threading.enumerate():
        if thread.name == "volume-space":
            thread.join()
    assert names() == {"scratch", "share", "data"}


def test_one_that_fails_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A stale handle of one server is no reason to tell nothing of the others."""

    def ask(path: Path) -> FilesystemStats:
        if path.name == "data":
            raise OSError(116, "Stale file handle")
        return FilesystemStats(timestamp_ns=NOW_NS)

    _make(tmp_path, "kubernetes.io~persistent-volume-claim", "data")
    _make(tmp_path, "kubernetes.io~nfs", "share")
    (found,) = MountedVolumes(tmp_path, ask=ask).read([_POD]).values()
    assert [each.name for each in found] == ["share"]
    assert "the space of a volume is not known" in caplog.text


def test_a_machine_without_threads_tells_nothing_of_volumes_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And all of them as soon as it has some again."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    _make(tmp_path, "kubernetes.io~nfs", "share")
    volumes = MountedVolumes(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert volumes.read([_POD]) == {}
    assert [vars(each)["reason"] for each in caplog.records] == ["can't start new thread"]
    assert list(volumes.read([_POD])) == [_POD.uid]
