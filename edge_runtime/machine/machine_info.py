"""What the machine is: processors, memory, identity, addresses.

Source: kubernetes pkg/kubelet/nodestatus/setters.go ``MachineInfo``, ``VersionInfo``;
github.com/google/cadvisor machine/machine.go.
"""

from __future__ import annotations

import ipaddress
import os
import platform
import socket
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from edge_runtime.objects.eviction_thresholds import hard_reservation
from edge_runtime.objects.quantity import format_bytes, format_milli

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from edge_runtime.objects.eviction_thresholds import Threshold

_ROOT = Path("/")
# Go's names, which the API uses, for the kernel's.
_ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i686": "386",
    "i386": "386",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
    "riscv64": "riscv64",
}
_DEFAULT_ROUTE_V4 = "00000000"
_DEFAULT_ROUTE_V6 = "0" * 32
_REJECT_ROUTE = 0x200
_KIB = 1024
_NOTHING = Fraction(0)
# Every status of every pod has the addresses, and asking the kernel takes most of a millisecond.
ADDRESSES_KEPT_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineInfo:
    """What of the machine does not change while it runs.

    Attributes:
        hugepages: Page size in bytes to number of reserved pages.
        storage_bytes: Size of the filesystem of edgelet's root folder.
        boot_id: The kernel's, changes with each boot.
    """

    cpus: int
    memory_bytes: int
    swap_bytes: int
    hugepages: tuple[tuple[int, int], ...]
    storage_bytes: int
    machine_id: str
    system_uuid: str
    boot_id: str
    kernel_version: str
    os_image: str
    architecture: str


def read_machine_info(root_dir: str, *, root: Path = _ROOT) -> MachineInfo:
    """Read what the machine is; blocks on files of the kernel only.

    Args:
        root_dir: Edgelet's root folder, or the nearest folder above it that is there.
        root: Where ``/proc``, ``/sys`` and ``/etc`` are looked for.

    Raises:
        OSError: A file that every Linux has cannot be read.
    """
    storage = os.statvfs(nearest_folder(root_dir))
    machine_id = _first_text(root / "etc/machine-id", root / "var/lib/dbus/machine-id")
    return MachineInfo(
        cpus=psutil.cpu_count() or 1,
        memory_bytes=psutil.virtual_memory().total,
        swap_bytes=psutil.swap_memory().total,
        hugepages=tuple(_hugepages(root / "sys/kernel/mm/hugepages")),
        storage_bytes=storage.f_blocks * storage.f_frsize,
        machine_id=machine_id,
        system_uuid=_first_text(
            root / "sys/class/dmi/id/product_uuid",
            root / "proc/device-tree/vm,uuid",
        )
        or machine_id,
        boot_id=(root / "proc/sys/kernel/random/boot_id").read_text().strip(),
        kernel_version=platform.release(),
        os_image=_os_image(root / "etc/os-release"),
        architecture=_ARCHITECTURES.get(platform.machine(), platform.machine()),
    )


def nearest_folder(path: str) -> Path:
    """Return the path, or the first folder above it that exists."""
    return next(each for each in (Path(path), *Path(path).parents) if each.is_dir())


def capacity(machine: MachineInfo, *, max_pods: int) -> dict[str, str]:
    """Return the Node's ``status.capacity``."""
    return {
        "cpu": str(machine.cpus),
        "memory": format_bytes(machine.memory_bytes),
        "ephemeral-storage": format_bytes(machine.storage_bytes),
        "pods": str(max_pods),
        **_hugepage_quantities(machine),
    }


def allocatable(
    machine: MachineInfo,
    *,
    max_pods: int,
    reserved: Mapping[str, Fraction],
    thresholds: tuple[Threshold, ...],
) -> dict[str, str]:
    """Return the Node's ``status.allocatable``: capacity without what pods cannot have.

    Args:
        machine: The machine.
        max_pods: How many pods it takes.
        reserved: What is kept for the machine and for edgelet, in units and bytes.
        thresholds: Those of eviction; the hard ones are kept free of pods.

    Source: kubernetes pkg/kubelet/cm/node_container_manager_linux.go
    ``GetNodeAllocatableReservation``, pkg/kubelet/nodestatus/setters.go ``MachineInfo``.
    """
    totals = {"memory": machine.memory_bytes, "ephemeral-storage": machine.storage_bytes}
    kept = hard_reservation(thresholds, totals)
    left = {
        name: max(total - kept.get(name, 0) - _ceil(reserved.get(name, _NOTHING)), 0)
        for name, total in totals.items()
    }
    hugepage_bytes = sum(size * count for size, count in machine.hugepages)
    milli_cpus = max(machine.cpus * 1000 - _ceil(reserved.get("cpu", _NOTHING) * 1000), 0)
    return {
        "cpu": format_milli(milli_cpus),
        "memory": format_bytes(max(left["memory"] - hugepage_bytes, 0)),
        "ephemeral-storage": format_bytes(left["ephemeral-storage"]),
        "pods": str(max_pods),
        **_hugepage_quantities(machine),
    }


def host_addresses(*, proc: Path = Path("/proc")) -> tuple[str, ...]:
    """Return the machine's own addresses, that of the default route's interface first.

    Without a default route, those of every interface but loopback: a machine on a switch of its own
    still has an address.
    """
    addresses = psutil.net_if_addrs()
    interfaces = list(dict.fromkeys(_default_interfaces(proc))) or sorted(addresses)
    found = [
        str(address)
        for interface in interfaces
        for family in (socket.AF_INET, socket.AF_INET6)
        for each in addresses.get(interface, ())
        if each.family == family and (address := _usable(each.address)) is not None
    ]
    return tuple(dict.fromkeys(found))


class HostAddresses:
    """Returns ``host_addresses``, at most ADDRESSES_KEPT_S old."""

    def __init__(
        self,
        *,
        read: Callable[[], tuple[str, ...]] = host_addresses,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._monotonic = monotonic
        self._known: tuple[str, ...] = ()
        self._read_at: float | None = None

    def __call__(self) -> tuple[str, ...]:
        """Return the machine's own addresses."""
        now = self._monotonic()
        if self._read_at is None or now - self._read_at >= ADDRESSES_KEPT_S:
            self._known, self._read_at = self._read(), now
        return self._known


def _ceil(value: Fraction) -> int:
    return -(-value.numerator // value.denominator)


def _usable(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    address = ipaddress.ip_address(text.partition("%")[0])
    return None if address.is_loopback or address.is_link_local else address


def _default_interfaces(proc: Path) -> Iterable[str]:
    """Name the interfaces of default routes, the IPv4 ones first, by metric."""
    v4 = [
        (int(fields[6]), fields[0])
        for fields in _table(proc / "net/route")[1:]
        if fields[1] == _DEFAULT_ROUTE_V4 and fields[7] == _DEFAULT_ROUTE_V4
    ]
    v6 = [
        (int(fields[5], 16), fields[9])
        for fields in _table(proc / "net/ipv6_route")
        if fields[0] == _DEFAULT_ROUTE_V6
        and fields[1] == "00"
        and not int(fields[8], 16) & _REJECT_ROUTE
    ]
    return [interface for _, interface in (*sorted(v4), *sorted(v6))]


def _table(path: Path) -> list[list[str]]:
    try:
        return [line.split() for line in path.read_text().splitlines()]
    except FileNotFoundError:  # a kernel without IPv6
        return []


def _hugepages(folder: Path) -> Iterable[tuple[int, int]]:
    for size in sorted(folder.glob("hugepages-*kB")):
        kilobytes = int(size.name.removeprefix("hugepages-").removesuffix("kB"))
        yield kilobytes * _KIB, int((size / "nr_hugepages").read_text())


def _hugepage_quantities(machine: MachineInfo) -> dict[str, str]:
    return {
        f"hugepages-{format_bytes(size)}": format_bytes(size * count)
        for size, count in machine.hugepages
    }


def _os_image(path: Path) -> str:
    for line in _first_text(path).splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip().strip("\"'")
    return "Linux"


def _first_text(*paths: Path) -> str:
    """Return the content of the first file that can be read, "" when none can."""
    for path in paths:
        try:
            return path.read_text().strip().strip("\0")
        except (FileNotFoundError, PermissionError):
            continue
    return ""
