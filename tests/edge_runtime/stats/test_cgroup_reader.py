"""Control groups that change, vanish or are large while they are read."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from typing import TYPE_CHECKING

import pytest

from edge_runtime.stats.cgroup_reader import CgroupReader
from tests.edge_runtime.stats.control_groups import ControlGroups

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["version 1", "version 2"])
def groups(request: pytest.FixtureRequest, tmp_path: Path) -> ControlGroups:
    """Control groups of either version, with one that has everything."""
    found = ControlGroups(mount=tmp_path, unified=request.param == "version 2")
    found.put("/a", pids=(7, 8))
    return found


def test_a_group_is_read(groups: ControlGroups) -> None:
    """By its path below the mount."""
    reader = CgroupReader(groups.mount)
    cpu, memory = reader.cpu("/a"), reader.memory("/a", detailed=True)
    assert cpu is not None
    assert memory is not None
    assert (cpu.usage_ns, reader.cpu_usage_ns("/a")) == (5_000_000, 5_000_000)
    assert (memory.usage_bytes, memory.working_set_bytes) == (8192, 4096)
    assert reader.processes("/a") == (7, 8)


def test_a_group_that_is_gone_has_nothing(groups: ControlGroups) -> None:
    """Never zeros: they would be taken for figures."""
    reader = CgroupReader(groups.mount)
    shutil.rmtree(groups.mount / "a", ignore_errors=True)
    for controller in ("cpuacct", "memory"):
        shutil.rmtree(groups.mount / controller, ignore_errors=True)
    assert reader.cpu("/a") is None
    assert reader.memory("/a", detailed=True) is None
    assert reader.cpu_limits("/a") is None
    assert reader.processes("/a") == ()
    assert reader.tasks("/a") is None
    assert reader.disks("/a") == ()
    assert reader.pressure("/a") == {}


@pytest.mark.parametrize("code", [errno.ENODEV, errno.ENOENT])
def test_a_group_that_vanishes_between_opening_and_reading(
    groups: ControlGroups, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """What the kernel says of an open file whose group is removed."""

    def gone(_fd: int, _size: int) -> bytes:
        raise OSError(code, os.strerror(code))

    reader = CgroupReader(groups.mount)
    open_before = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, "read", gone)
    assert reader.cpu("/a") is None
    assert reader.memory("/a", detailed=True) is None
    assert reader.processes("/a") == ()
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_another_failure_of_the_kernel_is_an_error(
    groups: ControlGroups, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group that cannot be read is not one that is gone."""

    def refuse(_fd: int, _size: int) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "read", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        CgroupReader(groups.mount).cpu("/a")


def test_a_long_list_is_read_to_its_end(groups: ControlGroups) -> None:
    """The kernel hands it out a page at a time, some 700 processes; a pipe does alike."""
    pids = tuple(range(100_000, 120_000))
    file = groups.mount / ("" if groups.unified else "cpuacct") / "a/cgroup.procs"
    file.unlink()
    os.mkfifo(file)
    writer = threading.Thread(target=file.write_text, args=["".join(f"{pid}\n" for pid in pids)])
    writer.start()
    try:
        assert CgroupReader(groups.mount).processes("/a") == pids
    finally:
        writer.join()


def test_a_list_without_end_is_cut(groups: ControlGroups, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory stays bounded, whatever the kernel hands out."""
    monkeypatch.setattr(os, "read", lambda _fd, size: b"7\n" * (size // 2))
    assert len(CgroupReader(groups.mount).processes("/a")) < 300_000
