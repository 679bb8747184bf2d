"""How much is left."""

from __future__ import annotations

import os
from pathlib import Path

from edge_runtime.machine.usage import measure_usage


def test_measuring(tmp_path: Path) -> None:
    """Numbers of the kernel and of both filesystems."""
    proc = tmp_path / "proc"
    (proc / "sys/kernel").mkdir(parents=True)
    (proc / "sys/kernel/pid_max").write_text("4194304\n")
    (proc / "sys/kernel/threads-max").write_text("5000\n")
    (proc / "meminfo").write_text(
        "MemTotal: 1000 kB\nMemFree: 300 kB\nActive(file): 200 kB\nInactive(file): 100 kB\n"
        "HugePages_Total: 0\n"
    )
    (proc / "loadavg").write_text("0.20 0.18 0.12 1/80 11206\n")
    found = measure_usage(tmp_path, image_dir=Path("/"), proc=proc)
    assert (found.pids, found.max_pids) == (80, 5000)
    assert found.imagefs is not None
    assert found.imagefs.capacity_bytes == os.statvfs("/").f_blocks * os.statvfs("/").f_frsize
    assert 0 < found.nodefs.available_bytes <= found.nodefs.capacity_bytes
    assert (found.available_memory_bytes, found.memory_bytes) == (400 * 1024, 1000 * 1024)


def test_without_images(tmp_path: Path) -> None:
    """The runtime need not tell where they are; the real kernel's files are read."""
    found = measure_usage(tmp_path, image_dir=None)
    assert found.imagefs is None
    assert 0 < found.pids < found.max_pids
