"""Slices: control groups that systemd makes and watches over, for runtimes of the systemd driver.

systemd takes groups that it does not know apart again, so it is asked for them, over D-Bus, with
the programs that come with it: ``busctl`` carries the call, ``systemctl`` waits for what it began.

Source: opencontainers/cgroups systemd/v1.go, v2.go, common.go, which a kubelet uses.
"""

from __future__ import annotations

import asyncio
import posixpath
from pathlib import Path
from typing import TYPE_CHECKING

from edge_runtime.machine.cgroup_files import cpu_weight
from edge_runtime.runtime.cri_resources import CPU_PERIOD_US

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.runtime.cri_resources import PodCgroupLimits

# Source: opencontainers/cgroups systemd/common.go ``startUnit``.
TIMEOUT_S = 30.0
INFINITY = (1 << 64) - 1
# systemd rounds a quota down to whole hundredths of a second per second.
_QUOTA_STEP_US = 10_000
_MANAGER = (
    "org.freedesktop.systemd1",
    "/org/freedesktop/systemd1",
    "org.freedesktop.systemd1.Manager",
)

# Name, D-Bus signature, and value as busctl takes them.
Property = tuple[str, str, tuple[str, ...]]


class SliceError(Exception):
    """systemd does not make, change or stop a slice; the message is what it said."""


def is_systemd_running(*, root: Path = Path("/")) -> bool:
    """Tell whether systemd is this machine's first process.

    Source: opencontainers/cgroups systemd/common.go ``IsRunningSystemd``.
    """
    return (root / "run/systemd/system").is_dir()


def unit_name(group: str) -> str:
    """Return the unit of a group: the last part of its path."""
    return posixpath.basename(group)


def slice_properties(group: str, *, unified: bool) -> tuple[Property, ...]:
    """Return what makes a new slice: its parent, and that everything in it is accounted for.

    Args:
        group: Absolute path, see ``objects/cgroup_names.py``.
        unified: Whether control groups are of version 2.
    """
    parent = unit_name(posixpath.dirname(group)) or "-.slice"
    storage = "IOAccounting" if unified else "BlockIOAccounting"
    accounting = ("MemoryAccounting", "CPUAccounting", "TasksAccounting", storage)
    return (
        ("Description", "s", (f"edgelet {unit_name(group)}",)),
        ("Wants", "as", ("1", parent)),
        ("DefaultDependencies", "b", ("false",)),
        *((name, "b", ("true",)) for name in accounting),
    )


def limit_properties(limits: PodCgroupLimits, *, unified: bool) -> tuple[Property, ...]:
    """Return the limits that systemd must know of, or it would take them back one day."""
    quota = INFINITY
    if limits.cpu_quota_us:
        quota = limits.cpu_quota_us * 1_000_000 // CPU_PERIOD_US
        quota = -(-quota // _QUOTA_STEP_US) * _QUOTA_STEP_US
    memory = "MemoryMax" if unified else "MemoryLimit"
    return (
        weight_property(limits.cpu_shares, unified=unified),
        _number("CPUQuotaPeriodUSec", CPU_PERIOD_US),
        _number("CPUQuotaPerSecUSec", quota),
        _number(memory, limits.memory_bytes or INFINITY),
        _number("TasksMax", limits.pids or INFINITY),
    )


def weight_property(shares: int, *, unified: bool) -> Property:
    """Return the weight of a slice, on the scale of its version."""
    if unified:
        return _number("CPUWeight", cpu_weight(shares))
    return _number("CPUShares", shares)


class SystemdSlices:
    """Asks systemd for slices."""

    def __init__(self, *, busctl: str = "busctl", systemctl: str = "systemctl") -> None:
        self._busctl = busctl
        self._systemctl = systemctl

    async def ensure(self, group: str, properties: tuple[Property, ...], *, unified: bool) -> None:
        """Start a slice, or change it if it is there; it is there when this returns.

        Cancelling leaves it half done: call it again.

        Raises:
            SliceError: systemd refuses, or does not answer.
        """
        name = unit_name(group)
        made = (*slice_properties(group, unified=unified), *properties)
        start = ("StartTransientUnit", "ssa(sv)a(sa(sv))", name, "replace", *_encode(made), "0")
        try:
            await self._call(*start)
        except SliceError as exc:
            if "already" not in str(exc):
                raise
            change = ("SetUnitProperties", "sba(sv)", name, "true", *_encode(properties))
            await self._call(*change)
        await _run(self._systemctl, "start", name)

    async def stop(self, group: str) -> None:
        """Stop a slice with all that is in it; nothing to do when systemd has none of that name.

        Raises:
            SliceError: systemd refuses, or does not answer.
        """
        try:
            await _run(self._systemctl, "stop", unit_name(group))
        except SliceError as exc:
            if "not loaded" not in str(exc):
                raise

    async def _call(self, *arguments: str) -> None:
        await _run(self._busctl, "--system", "call", *_MANAGER, *arguments)


def _encode(properties: Iterable[Property]) -> list[str]:
    found = list(properties)
    words = [str(len(found))]
    for name, signature, values in found:
        words += [name, signature, *values]
    return words


def _number(name: str, value: int) -> Property:
    return (name, "t", (str(value),))


async def _run(program: str, *arguments: str) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as exc:
        raise SliceError(f"{program}: {exc.strerror}") from exc
    try:
        async with asyncio.timeout(TIMEOUT_S):
            _, error = await process.communicate()
    except TimeoutError as exc:
        raise SliceError(f"{program}: no answer within {TIMEOUT_S:g} s") from exc
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = error.decode(errors="replace").strip()
        raise SliceError(f"{program} {arguments[-1]}: {said or process.returncode}")
