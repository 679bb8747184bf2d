"""What the machine as a whole uses is read as the kernel writes it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_runtime.stats.machine_reader import MachineMemory, MachineReader, MachineTasks


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A machine's own files."""
    for name, text in {
        "stat": "cpu  1 2 3\nbtime 1700000000\nprocesses 9\n",
        "meminfo": "MemTotal:  2048 kB\nMemFree:  1 kB\nSwapTotal:  64 kB\nSwapFree:  16 kB\n",
        "loadavg": "0.20 0.18 0.12 3/80 11206\n",
        "sys/kernel/pid_max": "4194304\n",
        "sys/kernel/threads-max": "30000\n",
        "pressure/cpu": "some avg10=1.50 avg60=0.25 avg300=0.00 total=77\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_machine(proc: Path) -> None:
    """Its boot, memory, swap, processes; of pressures those that the kernel counts."""
    machine = MachineReader(proc)
    assert machine.boot_time_ns() == 1_700_000_000 * 10**9
    assert machine.memory() == MachineMemory(
        total_bytes=2 << 20, swap_total_bytes=64 << 10, swap_free_bytes=16 << 10
    )
    assert machine.tasks() == MachineTasks(running=80, limit=30_000)
    assert set(machine.pressure()) == {"cpu"}


def test_a_kernel_that_does_not_tell_its_boot_is_an_error(proc: Path) -> None:
    """Rather than a machine that runs since 1970."""
    (proc / "stat").write_text("cpu  1 2 3\n")
    with pytest.raises(OSError, match="does not tell the time of the boot"):
        MachineReader(proc).boot_time_ns()


def test_disks_have_the_names_of_their_devices(tmp_path: Path) -> None:
    """As below ``/dev``; one that is gone has none."""
    (tmp_path / "8:0").symlink_to("../../devices/pci0000:00/ata1/block/sda")
    (tmp_path / "104:0").symlink_to("../../devices/pci0000:00/cciss0/block/cciss!c0d0")
    machine = MachineReader(block_devices=tmp_path)
    assert machine.disk_name(major=8, minor=0) == "sda"
    assert machine.disk_name(major=104, minor=0) == "cciss/c0d0"
    assert machine.disk_name(major=9, minor=9) is None


def test_the_disks_of_this_machine_are_there() -> None:
    """What the kernel names can be found."""
    for name in os.listdir("/sys/dev/block"):
        major, _, minor = name.partition(":")
        found = MachineReader().disk_name(major=int(major), minor=int(minor))
        assert found is not None
        assert (Path("/sys/class/block") / found.replace("/", "!")).exists(), name
