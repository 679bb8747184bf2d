"""What the machine is."""

from __future__ import annotations

import os
from fractions import Fraction
from typing import TYPE_CHECKING

import psutil
import pytest

from edge_runtime.machine.machine_info import (
    ADDRESSES_KEPT_S,
    HostAddresses,
    MachineInfo,
    allocatable,
    capacity,
    host_addresses,
    nearest_folder,
    read_machine_info,
)
from edge_runtime.objects.eviction_thresholds import DEFAULT_EVICTION_HARD, parse_thresholds

if TYPE_CHECKING:
    from pathlib import Path

THRESHOLDS = parse_thresholds(
    hard=DEFAULT_EVICTION_HARD, soft={}, soft_grace_periods_s={}, minimum_reclaim={}
)
MACHINE = MachineInfo(
    cpus=4,
    memory_bytes=8 << 30,
    swap_bytes=0,
    hugepages=((2 << 20, 512), (1 << 30, 0)),
    storage_bytes=1000 << 20,
    machine_id="m",
    system_uuid="s",
    boot_id="b",
    kernel_version="6.1",
    os_image="Debian",
    architecture="amd64",
)


def make_root(root: Path) -> Path:
    """A machine's files."""
    for path, text in {
        "etc/machine-id": "0123\n",
        "etc/os-release": 'NAME="x"\nPRETTY_NAME="Test OS 1"\n',
        "proc/sys/kernel/random/boot_id": "boot-1\n",
        "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "3\n",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def test_reading_the_machine(tmp_path: Path) -> None:
    """Identity from files, sizes from the kernel; without firmware the machine id serves."""
    found = read_machine_info(str(tmp_path / "not/yet"), root=make_root(tmp_path))
    assert (found.machine_id, found.system_uuid, found.boot_id) == ("0123", "0123", "boot-1")
    assert found.os_image == "Test OS 1"
    assert found.hugepages == ((2 << 20, 3),)
    assert found.cpus == psutil.cpu_count()
    assert found.memory_bytes == psutil.virtual_memory().total
    assert found.storage_bytes > 0
    assert found.kernel_version == os.uname().release


def test_a_machine_without_names_is_still_a_machine(tmp_path: Path) -> None:
    """Minimal images have neither machine id nor release file."""
    root = make_root(tmp_path)
    (root / "etc/machine-id").unlink()
    (root / "etc/os-release").unlink()
    found = read_machine_info(str(tmp_path), root=root)
    assert (found.machine_id, found.os_image) == ("", "Linux")


def test_capacity() -> None:
    """As a kubelet writes it."""
    assert capacity(MACHINE, max_pods=110) == {
        "cpu": "4",
        "memory": "8Gi",
        "ephemeral-storage": "1000Mi",
        "pods": "110",
        "hugepages-2Mi": "1Gi",
        "hugepages-1Gi": "0",
    }


def test_allocatable_is_what_eviction_leaves() -> None:
    """Memory without huge pages and 100 MiB, storage without a tenth."""
    found = allocatable(MACHINE, max_pods=110, reserved={}, thresholds=THRESHOLDS)
    assert found["memory"] == "7068Mi"
    # A kubelet's tenth has 32 bits: a byte or two less is left than one would think.
    assert found["ephemeral-storage"] == str((900 << 20) - 1)
    assert (found["cpu"], found["pods"], found["hugepages-2Mi"]) == ("4", "110", "1Gi")


def test_allocatable_is_without_what_is_reserved() -> None:
    """For the machine and for edgelet, besides what eviction keeps free; never below nothing."""
    reserved = {
        "cpu": Fraction(1, 2),
        "memory": Fraction(68 << 20),
        "ephemeral-storage": Fraction(1 << 50),
    }
    found = allocatable(MACHINE, max_pods=110, reserved=reserved, thresholds=THRESHOLDS)
    assert (found["cpu"], found["memory"]) == ("3500m", "7000Mi")
    assert found["ephemeral-storage"] == "0"


def test_nearest_folder(tmp_path: Path) -> None:
    """The root folder need not be there yet."""
    assert nearest_folder(str(tmp_path / "a/b")) == tmp_path
    assert nearest_folder(str(tmp_path)) == tmp_path


V4_ROUTES = (
    "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    "slow\t00000000\t0102A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
    "fast\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
    "cni0\t0000580A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
)
ZERO = "0" * 32
V6_ROUTES = (
    f"{ZERO} 00 {ZERO} 00 {'f' * 32} 00000400 00000001 00000000 00000003 fast\n"
    f"{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 00000001 00000000 00200200 lo\n"
)


def address(text: str) -> object:
    """An address as psutil gives it."""
    family = 10 if ":" in text else 2
    return type("Address", (), {"family": family, "address": text})()


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two links, a bridge of pods and loopback."""
    found = {
        "lo": [address("127.0.0.1"), address("::1")],
        "fast": [address("192.168.2.5"), address("fe80::1%fast"), address("2001:db8::5")],
        "slow": [address("10.9.0.5")],
        "cni0": [address("10.88.0.1")],
    }
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)


@pytest.mark.usefixtures("addresses")
def test_addresses_are_those_of_default_routes_by_metric(tmp_path: Path) -> None:
    """Not the bridge's, which many machines share; not link-local ones."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net/route").write_text(V4_ROUTES)
    (tmp_path / "net/ipv6_route").write_text(V6_ROUTES)
    assert host_addresses(proc=tmp_path) == ("192.168.2.5", "2001:db8::5", "10.9.0.5")


@pytest.mark.usefixtures("addresses")
def test_without_a_default_route_every_address_counts(tmp_path: Path) -> None:
    """A machine that is offline still has addresses."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net/route").write_text(V4_ROUTES.splitlines()[0] + "\n")
    assert host_addresses(proc=tmp_path) == ("10.88.0.1", "192.168.2.5", "2001:db8::5", "10.9.0.5")


def test_addresses_are_read_again_only_after_a_while() -> None:
    """Every status of every pod asks; a changed address is seen seconds later."""
    now, found = [100.0], [("192.0.2.1",)]
    reads: list[float] = []

    def read() -> tuple[str, ...]:
        reads.append(now[0])
        return found[0]

    addresses = HostAddresses(read=read, monotonic=lambda: now[0])
    assert addresses() == addresses() == ("192.0.2.1",)
    found[0] = ("192.0.2.2",)
    now[0] += ADDRESSES_KEPT_S
    assert addresses() == ("192.0.2.2",)
    assert reads == [100.0, 100.0 + ADDRESSES_KEPT_S]
