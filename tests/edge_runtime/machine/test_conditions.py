"""Node conditions."""

from __future__ import annotations

import pytest

from edge_runtime.machine.conditions import (
    Pressure,
    disk_pressure,
    memory_pressure,
    node_conditions,
    pid_pressure,
    runtime_problems,
)
from edge_runtime.machine.usage import FilesystemSpace, MachineUsage
from edge_runtime.objects.runtime_info import RuntimeCondition, RuntimeStatus

ROOMY = FilesystemSpace(available_bytes=50, capacity_bytes=100, inodes_free=50, inodes=100)
READY = RuntimeCondition(type="RuntimeReady", status=True)
NETWORK = RuntimeCondition(type="NetworkReady", status=True)


def usage(
    *,
    memory: int = 1 << 30,
    nodefs: FilesystemSpace = ROOMY,
    imagefs: FilesystemSpace | None = ROOMY,
    pids: int = 100,
) -> MachineUsage:
    """A machine with room for everything but what is said."""
    return MachineUsage(
        available_memory_bytes=memory, nodefs=nodefs, imagefs=imagefs, pids=pids, max_pids=1000
    )


def space(*, available: int = 50, inodes_free: int = 50, inodes: int = 100) -> FilesystemSpace:
    """A filesystem in percent."""
    return FilesystemSpace(
        available_bytes=available, capacity_bytes=100, inodes_free=inodes_free, inodes=inodes
    )


@pytest.mark.parametrize(("memory", "expected"), [(100 << 20, False), ((100 << 20) - 1, True)])
def test_memory(memory: int, expected: bool) -> None:
    """Less than 100 MiB is too little."""
    assert memory_pressure(usage(memory=memory)) is expected


@pytest.mark.parametrize(
    ("nodefs", "imagefs", "expected"),
    [
        (space(available=10), space(available=15), False),
        (space(available=9), None, True),
        (space(inodes_free=4), None, True),
        (space(inodes_free=5), None, False),
        (ROOMY, space(available=14), True),
        (ROOMY, space(inodes_free=4), True),
        (ROOMY, None, False),
        (space(inodes_free=0, inodes=0), None, False),
    ],
)
def test_disk(nodefs: FilesystemSpace, imagefs: FilesystemSpace | None, expected: bool) -> None:
    """Space and inodes of both; a filesystem that counts no inodes never lacks them."""
    assert disk_pressure(usage(nodefs=nodefs, imagefs=imagefs)) is expected


def test_pids() -> None:
    """One in a hundred must be free."""
    assert not pid_pressure(usage(pids=990))
    assert pid_pressure(usage(pids=991))


def test_a_pressure_lasts_five_minutes() -> None:
    """It begins at once and does not end with the first better measurement."""
    pressure = Pressure()
    assert not pressure.observe(is_short=False, now=0)
    assert pressure.observe(is_short=True, now=10)
    assert pressure.observe(is_short=False, now=309.9)
    assert not pressure.observe(is_short=False, now=310)


@pytest.mark.parametrize(
    ("status", "seen_ago_s", "problems"),
    [
        (RuntimeStatus(conditions=(READY, NETWORK)), 0, []),
        (None, None, ["container runtime status check may not have completed yet"]),
        (RuntimeStatus(conditions=(READY, NETWORK)), 29.9, []),
        (RuntimeStatus(conditions=(READY, NETWORK)), 30, ["container runtime is down"]),
        (
            RuntimeStatus(
                conditions=(
                    READY,
                    RuntimeCondition(
                        type="NetworkReady", status=False, reason="NoPlugin", message="no cni"
                    ),
                )
            ),
            0,
            [
                "container runtime network not ready: "
                "NetworkReady=false reason:NoPlugin message:no cni"
            ],
        ),
        (
            RuntimeStatus(conditions=(NETWORK,)),
            0,
            ["container runtime not ready: <nil>"],
        ),
    ],
)
def test_why_the_node_is_not_ready(
    status: RuntimeStatus | None, seen_ago_s: float | None, problems: list[str]
) -> None:
    """In the kubelet's words."""
    assert runtime_problems(status, seen_ago_s=seen_ago_s) == problems


def test_ready_comes_last() -> None:
    """Order, reasons and messages of a healthy node."""
    found = node_conditions(memory=False, disk=False, pid=False, problems=[])
    assert [(each["type"], each["status"], each["reason"]) for each in found] == [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID"),
        ("Ready", "True", "KubeletReady"),
    ]
    assert found[-1]["message"] == "kubelet is posting ready status"


def test_a_node_in_trouble() -> None:
    """Several problems are one message, each of them once."""
    found = node_conditions(memory=True, disk=True, pid=True, problems=["a", "b", "a"])
    assert [(each["status"], each["reason"]) for each in found] == [
        ("True", "KubeletHasInsufficientMemory"),
        ("True", "KubeletHasDiskPressure"),
        ("True", "KubeletHasInsufficientPID"),
        ("False", "KubeletNotReady"),
    ]
    assert found[-1]["message"] == "[a, b]"
    single = node_conditions(memory=False, disk=False, pid=False, problems=["a"])
    assert single[-1]["message"] == "a"
