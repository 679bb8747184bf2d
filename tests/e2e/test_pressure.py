"""A machine that runs short of memory, disk, inodes or process ids ends who takes too much.

The edge's folders are on a small disk of their own, and its thresholds lie a little below what the
machine has left, so that each of four pods crosses one of them. All four run at once beside a
critical pod that takes nothing.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devcluster.mounts import unmount_below
from devcluster.processes import run
from edge_runtime.machine.usage import measure_usage
from tests.e2e.cluster import edge_configured
from tests.e2e.pods import IDLE, container, pod
from tests.e2e.told import becomes, conditions, containers, ends, status, tells
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl, Running

Json = dict[str, Any]
MIB = 1 << 20
UNSUPPORTED = "UnsupportedByEdgelet"
DISK_MIB, DISK_INODES = 96, 3000
# How much may go before a threshold is crossed. Others live on the machine too, so that what it has
# of memory and process ids moves by itself.
SPARE_MEMORY_MIB, SPARE_PIDS = 1536, 1000
NEEDED_MEMORY_MIB = 4 * SPARE_MEMORY_MIB
MEMORY_PRESSURE, DISK_PRESSURE, PID_PRESSURE = "MemoryPressure", "DiskPressure", "PIDPressure"
TAINTS = {
    MEMORY_PRESSURE: "node.kubernetes.io/memory-pressure",
    DISK_PRESSURE: "node.kubernetes.io/disk-pressure",
    PID_PRESSURE: "node.kubernetes.io/pid-pressure",
}
# What holds the disk is last: a pod's log stays with it, so that the disk is full until the pod is
# deleted, as under a kubelet.
SIGNALS = {
    "memory": "memory.available",
    "pids": "pid.available",
    "inodes": "nodefs.inodesFree",
    "ephemeral-storage": "nodefs.available",
}
# A writer whose reader sleeps keeps the whole of the one block that it has read.
SCRIPTS = {
    "memory": f"dd if=/dev/zero bs={SPARE_MEMORY_MIB * 3 // 2}M count=1 | sleep 3600 & {IDLE}",
    "pids": f"for i in $(seq {SPARE_PIDS * 2}); do sleep 3600 & done; {IDLE}",
    "inodes": f"cd /data; for i in $(seq {DISK_INODES // 2}); do : > $i; done; {IDLE}",
    "ephemeral-storage": f"head -c {DISK_MIB // 2}m /dev/zero | tr '\\0' x | fold -w 1000; {IDLE}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What happened to the machine.

    Attributes:
        seen: What the Node was, each time that it changed: its pressures and its taints' keys.
        told: By resource, the last status of the pod that took too much of it.
    """

    seen: tuple[tuple[frozenset[str], frozenset[str]], ...]
    told: Mapping[str, Json]


@contextlib.contextmanager
def small_disk(site_root: Path) -> Iterator[None]:
    """Put the edge's folders on a small disk while the block runs, with what its own one holds."""
    with contextlib.ExitStack() as stack:
        disk = site_root / "small-disk"
        disk.mkdir()
        stack.callback(disk.rmdir)
        options = f"size={DISK_MIB}m,nr_inodes={DISK_INODES},mode=0700"
        run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk])
        stack.callback(unmount_below, [disk])
        shutil.copytree(site_root / "edgelet", disk / "edgelet", symlinks=True)
        for folder in ("log/pods", "log/containers"):
            (disk / folder).mkdir(parents=True)
        for name in ("edgelet", "log"):
            run(["mount", "--bind", disk / name, site_root / name])
            stack.callback(unmount_below, [site_root / name])
        yield


@pytest.fixture(scope="module", autouse=True)
def short_machine(cluster: Cluster) -> Iterator[tuple[str, ...]]:
    """An edge that has not much left of some resources; as before when the module's pods are gone.

    Yields:
        The resources.
    """
    root = Path(cluster.environment["DEVCLUSTER_SITE_ROOT"])
    now = measure_usage(root, image_dir=None)
    memory_mib = now.available_memory_bytes // MIB
    least = {
        "memory": f"{memory_mib - SPARE_MEMORY_MIB}Mi",
        "pids": str(now.max_pids - now.pids - SPARE_PIDS),
        "inodes": str(DISK_INODES * 2 // 3),
        "ephemeral-storage": f"{DISK_MIB * 2 // 3}Mi",
    }
    if memory_mib < NEEDED_MEMORY_MIB:
        del least["memory"]
    fields = {
        "evictionHard": {SIGNALS[resource]: quantity for resource, quantity in least.items()},
        "evictionPressureTransitionPeriod": "10s",
        "nodeStatusUpdateFrequency": "1s",
        "containerLogMaxSize": "-1",
    }
    with edge_configured(cluster, fields, around=small_disk(root)):
        yield tuple(least)


@pytest.fixture(scope="module")
def story(cluster: Cluster, kubectl: Kubectl, short_machine: tuple[str, ...]) -> Story:
    """All pods made at once, and the machine in want and in plenty again."""
    site = cluster.site
    kubectl.apply(critical("quiet", site))
    kubectl.wait("condition=Ready", "pod/quiet")
    resources = tuple(
        name for name in short_machine if name != "inodes" or has_volumes(kubectl, site)
    )
    columns = '{.status.conditions[?(@.status=="True")].type};{.spec.taints[*].key}{"\\n"}'
    with kubectl.running("get", "node", site, "--watch", f"--output=jsonpath={columns}") as watch:
        recorder = Recorder(watch)
        kubectl.apply(*(hog(name, site) for name in resources))
        eventually(lambda: recorder.was(DISK_PRESSURE), what="the disk is full", timeout_s=60)
        kubectl.apply(pod("refused", site=site, nodeName=site), critical("admitted", site))
        told = {name: ends(kubectl, name, "Failed", timeout_s=60) for name in resources}
        kubectl.wait("condition=Ready", "pod/admitted")
        kubectl.ok("delete", "pod", "ephemeral-storage")
        eventually(recorder.is_over, what="no pressure and no taint is left", timeout_s=60)
    return Story(seen=tuple(recorder.seen), told=told)


def has_volumes(kubectl: Kubectl, site: str) -> bool:
    """Tell whether pods may have an emptyDir."""
    kubectl.apply(pod("volume", site=site, volumes=[{"name": "data", "emptyDir": {}}]))
    told = becomes(kubectl, "volume", lambda told: told.get("containerStatuses"))
    kubectl.ok("delete", "pod", "volume", "--now")
    waiting = containers(told)["main"]["state"].get("waiting", {})
    return bool(waiting.get("reason") != UNSUPPORTED)


def hog(resource: str, site: str) -> Json:
    """Return a pod that takes too much of a resource."""
    volumes: Json = {}
    main = container(script=SCRIPTS[resource])
    if resource == "inodes":
        main["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
        volumes = {"volumes": [{"name": "data", "emptyDir": {}}]}
    return pod(resource, main, site=site, **volumes)


def critical(name: str, site: str) -> Json:
    """Return a pod that a machine in want takes, and keeps."""
    return pod(name, site=site, nodeName=site, priorityClassName="system-node-critical")


class Recorder:
    """Writes down each state of the Node that a watch shows."""

    def __init__(self, watch: Running) -> None:
        self.seen: list[tuple[frozenset[str], frozenset[str]]] = []
        self._watch = watch

    def read(self) -> None:
        """Take what has come since."""
        for line in self._watch.arrived(timeout_s=0):
            types, _, keys = line.text.partition(";")
            self.seen.append((frozenset(types.split()), frozenset(keys.split())))

    def was(self, pressure: str) -> bool:
        """Tell whether the Node has had a pressure so far."""
        self.read()
        return any(pressure in types for types, _ in self.seen)

    def is_over(self) -> bool:
        """Tell whether the Node has neither a pressure nor the taint of one any more."""
        self.read()
        types, taints = self.seen[-1]
        return not types & TAINTS.keys() and not taints & set(TAINTS.values())


@pytest.mark.parametrize("resource", SCRIPTS)
def test_who_takes_too_much_is_evicted(kubectl: Kubectl, story: Story, resource: str) -> None:
    """Phase, reason, message, condition and event are a kubelet's."""
    skip_without(story, resource)
    told = story.told[resource]
    assert told["reason"] == "Evicted"
    assert re.match(
        rf"The node was low on resource: {resource}\. "
        r"Threshold quantity: \d+(Ki|Mi|Gi)?, available: \d+(Ki|Mi|Gi)?\. ",
        told["message"],
    ), told["message"]
    disrupted = conditions(told)["DisruptionTarget"]
    assert (disrupted["status"], disrupted["reason"]) == ("True", "TerminationByKubelet")
    assert disrupted["message"] == told["message"]
    assert "terminated" in containers(told)["main"]["state"]
    assert tells(kubectl, resource, "Evicted") == told["message"]


@pytest.mark.parametrize(
    ("resource", "pressure"),
    [("memory", MEMORY_PRESSURE), ("pids", PID_PRESSURE), ("ephemeral-storage", DISK_PRESSURE)],
)
def test_the_node_tells_of_a_pressure_and_of_its_end(
    cluster: Cluster, story: Story, resource: str, pressure: str
) -> None:
    """Its condition turns and returns, and the node controller's taint comes and goes with it."""
    skip_without(story, resource)
    assert any(pressure in types for types, _ in story.seen), story.seen
    assert any(TAINTS[pressure] in taints for _, taints in story.seen), story.seen
    assert cluster.node_condition(pressure) == "False"
    about_it = f"--field-selector=involvedObject.name={cluster.site},reason=EvictionThresholdMet"
    told = cluster.kubectl.json("get", "events", about_it)["items"]
    assert f"Attempting to reclaim {resource}" in {each["message"] for each in told}


@pytest.mark.usefixtures("story")
def test_nobody_comes_while_a_pressure_lasts(kubectl: Kubectl) -> None:
    """A pod that no scheduler has looked at is refused with a kubelet's words."""
    told = ends(kubectl, "refused", "Failed")
    assert told["reason"] == "Evicted"
    expected = r"Pod was rejected: The node had condition: \[.*DiskPressure.*\]\. "
    assert re.fullmatch(expected, told["message"]), told["message"]


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize("name", ["quiet", "admitted"])
def test_critical_pods_stay(kubectl: Kubectl, name: str) -> None:
    """They run on through every pressure, and are let in although there is one."""
    told = status(kubectl, name)
    assert (told["phase"], conditions(told)["Ready"]["status"]) == ("Running", "True")
    assert containers(told)["main"]["restartCount"] == 0


def skip_without(story: Story, resource: str) -> None:
    """Skip where no pod could take too much of a resource, and say why."""
    if resource in story.told:
        return
    if resource == "memory":
        pytest.skip(f"this machine has less than {NEEDED_MEMORY_MIB} MiB of memory left")
    pytest.skip(f"pods get no volumes here, where they could use up {resource}")
