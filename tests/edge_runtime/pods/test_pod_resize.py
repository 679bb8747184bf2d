"""In which order a pod and its containers are resized, and when they are not.

The cases are those of kubernetes pkg/kubelet/kuberuntime/kuberuntime_manager_test.go
``TestDoPodResizeAction`` and ``TestValidatePodResizeAction``, as far as pods of an edge can be so.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.admission.resize import POD_CGROUP
from edge_runtime.machine.cgroups import CgroupError, PodCgroups
from edge_runtime.objects.cgroup_names import CgroupDriver
from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.runtime_stats import ContainerStats, MemoryUsage
from edge_runtime.pleg.pod_cache import PodCache
from edge_runtime.pods.pod_resize import PodResizer
from edge_runtime.runtime.errors import InvalidArgument
from tests.fakes.edge_pods import edge_pods, is_running, pod_json
from tests.fakes.fake_cri import FakeCri
from tests.fakes.pod_settings import make_pod_settings
from tests.fakes.runtime_values import container as running

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge_runtime.objects.runtime_status import ContainerResources, PodRuntimeStatus
    from edge_runtime.runtime.cri_resources import PodCgroupLimits

Json = dict[str, Any]
UID = PodUID("u")
MIB = 1 << 20
PIDS = 100


def sized(cpu: str = "", memory: str = "", *, request_cpu: str = "", request: str = "") -> Json:
    """Limits, and requests that are the same unless they are named."""
    limits = {name: value for name, value in (("cpu", cpu), ("memory", memory)) if value}
    asked = {"cpu": request_cpu or cpu, "memory": request or memory}
    return {"limits": limits, "requests": {name: each for name, each in asked.items() if each}}


def pod(**containers: Json) -> Pod:
    """A pod of these containers, with what is allocated to them."""
    return Pod(
        {
            "metadata": {"name": "p", "namespace": "ns", "uid": UID, "generation": 2},
            "spec": {
                "containers": [
                    {"name": name, "resources": each} for name, each in containers.items()
                ]
            },
        }
    )


class Machine(PodCgroups):
    """Runtime, kernel and what is remembered; the kernel lets no group have less than one in it."""

    def __init__(self, **containers: Json) -> None:
        """Run these containers, with what they have now."""
        super().__init__(driver=CgroupDriver.CGROUPFS)
        self.before = {ContainerID(name): each for name, each in containers.items()}
        self.steps: list[str] = []
        self.quotas: dict[str, int] = {}
        self.pod_quota: int | None = None
        self.pids: set[int | None] = set()
        self.used: dict[str, int | None] = {}
        self.refuses = ""
        self.noted: list[str] = []
        self.cache = PodCache()
        for name in containers:
            self.cache.put_container(UID, running(name, name=name, uid=UID))

    # Runtime and kernel.

    async def update_container_resources(
        self, container_id: ContainerID, resources: ContainerResources
    ) -> None:
        """Resize a container."""
        if container_id == self.refuses:
            raise InvalidArgument(method="UpdateContainerResources", message="no")
        assert self.pod_quota is None or resources.cpu_quota_us <= self.pod_quota
        self.quotas[container_id] = resources.cpu_quota_us
        memory = resources.memory_limit_bytes // MIB
        self.steps.append(
            f"{container_id} {resources.cpu_shares} {resources.cpu_quota_us} {memory}"
        )

    async def ensure(self, parent: str, limits: PodCgroupLimits) -> None:
        """Resize the pod."""
        quota = limits.cpu_quota_us
        if quota is not None and any(each > quota for each in self.quotas.values()):
            raise CgroupError(parent, "Invalid argument")
        self.pod_quota = quota
        self.pids.add(limits.pids)
        memory = None if limits.memory_bytes is None else limits.memory_bytes // MIB
        self.steps.append(f"pod {limits.cpu_shares} {quota} {memory}")

    async def list_container_stats(
        self, *, pod_uid: PodUID | None = None
    ) -> Sequence[ContainerStats]:
        """Tell what is used."""
        assert pod_uid == UID
        return [
            ContainerStats(
                id=ContainerID(name),
                name=name,
                memory=None
                if mib is None
                else MemoryUsage(timestamp_ns=1, usage_bytes=mib * MIB, working_set_bytes=1),
            )
            for name, mib in self.used.items()
        ]

    async def refresh(self, uid: PodUID) -> PodRuntimeStatus:
        """Look at the pod."""
        self.noted.append("refreshed")
        return self.cache.get(uid)

    # What is remembered.

    def actuated(self, uid: PodUID) -> dict[str, Json]:
        """What containers have."""
        assert uid == UID
        if not self.before:
            return {}
        return {POD_CGROUP: {}} | {str(name): each for name, each in self.before.items()}

    async def set_actuated(self, pod: Pod, status: PodRuntimeStatus) -> None:
        """All have what is allocated."""
        del pod, status
        self.before = {}
        self.noted.append("actuated")

    def note_progress(self, pod: Pod, status: PodRuntimeStatus) -> None:
        """Nothing to do."""
        del pod, status
        self.noted.append("nothing")

    def note_error(self, pod: Pod, message: str) -> None:
        """Not now."""
        del pod
        self.noted.append(message)

    def resizer(self, folder: Path) -> PodResizer:
        """What is tested."""
        settings = make_pod_settings(folder)
        return PodResizer(
            self,
            pleg=self,
            cache=self.cache,
            allocations=self,
            settings=dataclasses.replace(settings, cgroups=self, pod_pids_limit=PIDS),
        )


SMALL, LARGE = sized("100m", "100Mi"), sized("200m", "200Mi")


@pytest.mark.parametrize(
    ("before", "after", "steps"),
    [
        # All grows: the pod first, then memory, then processors.
        (
            {"a": SMALL},
            {"a": LARGE},
            ["pod 204 20000 200", "a 102 10000 200", "a 204 20000 200", "pod 204 20000 200"],
        ),
        # All shrinks: the pod last.
        (
            {"a": LARGE},
            {"a": SMALL},
            ["a 204 20000 100", "pod 204 20000 100", "a 102 10000 100", "pod 102 10000 100"],
        ),
        # Memory shrinks while processors grow.
        (
            {"a": sized("100m", "200Mi")},
            {"a": sized("200m", "100Mi")},
            [
                "pod 204 20000 200",
                "a 102 10000 100",
                "pod 204 20000 100",
                "a 204 20000 100",
                "pod 204 20000 100",
            ],
        ),
        # Who shrinks makes room for who grows.
        (
            {"a": SMALL, "b": LARGE},
            {"a": LARGE, "b": SMALL},
            [
                "b 204 20000 100",
                "a 102 10000 200",
                "b 102 10000 100",
                "a 204 20000 200",
                "pod 307 30000 300",
            ],
        ),
        # A request of processors alone is the pod's weight, too.
        (
            {"a": sized(request_cpu="100m")},
            {"a": sized(request_cpu="200m")},
            ["pod 204 None None", "a 204 0 0", "pod 204 None None"],
        ),
        # A request of memory changes nothing that the kernel knows.
        (
            {"a": sized(request="100Mi")},
            {"a": sized(request="200Mi")},
            ["a 2 0 0", "pod 2 None None"],
        ),
        # Limits that are new: the pod gets its own last, and only if all containers have one.
        (
            {"a": sized(request_cpu="100m", request="100Mi"), "b": SMALL},
            {"a": SMALL, "b": SMALL},
            ["a 102 0 100", "pod 204 None 200", "a 102 10000 100", "pod 204 20000 200"],
        ),
        # A limit of the pod is not taken away.
        (
            {"a": SMALL},
            {"a": sized(request_cpu="100m", request="100Mi")},
            ["a 102 10000 0", "a 102 0 0", "pod 102 10000 100"],
        ),
        # The same, however it is written.
        ({"a": SMALL}, {"a": sized("0.1", "102400Ki")}, ["pod 102 10000 100"]),
    ],
)
async def test_order(
    tmp_path: Path, before: dict[str, Json], after: dict[str, Json], steps: list[str]
) -> None:
    """At no moment a pod has less than its containers, or a container less than it had to have."""
    machine = Machine(**before)
    machine.used = dict.fromkeys(before, 1)
    assert not await machine.resizer(tmp_path).resize(pod(**after))
    assert machine.steps == steps
    assert machine.noted == ["actuated", "refreshed"]
    # What it does not resize stays.
    assert machine.pids == {PIDS}


@pytest.mark.parametrize(
    ("before", "after", "used", "problem"),
    [
        ({"a": LARGE}, {"a": SMALL}, {"a": 99}, None),
        (
            {"a": LARGE},
            {"a": SMALL},
            {"a": 100},
            "[attempting to set pod memory limit (104857600) below current usage (104857600),"
            ' attempting to set container "a" memory limit (104857600) below current usage'
            " (104857600)]",
        ),
        # A limit that is new.
        (
            {"a": sized(request="1Mi"), "b": sized(request="1Mi")},
            {"a": sized(memory="100Mi", request="1Mi"), "b": sized(request="1Mi")},
            {"a": 150, "b": 1},
            'attempting to set container "a" memory limit (104857600) below current usage'
            " (157286400)",
        ),
        # What is not known is not risked.
        (
            {"a": LARGE},
            {"a": SMALL},
            {"a": None},
            '[missing pod memory usage, missing container "a" memory usage]',
        ),
        (
            {"a": LARGE},
            {"a": SMALL},
            {},
            '[missing pod memory usage, missing container "a" memory usage]',
        ),
        ({"a": LARGE, "b": SMALL}, {"a": SMALL, "b": SMALL}, {"a": 1, "b": 1}, None),
        (
            {"a": LARGE, "b": SMALL},
            {"a": SMALL, "b": SMALL},
            {"a": 1, "b": None},
            "missing pod memory usage",
        ),
        # Nothing shrinks, so nobody is asked.
        ({"a": SMALL}, {"a": LARGE}, {"a": 500}, None),
        ({"a": sized(request="1Mi")}, {"a": sized(request="2Mi")}, {}, None),
    ],
)
async def test_memory_is_not_taken_from_who_uses_it(
    tmp_path: Path,
    before: dict[str, Json],
    after: dict[str, Json],
    used: dict[str, int | None],
    problem: str | None,
) -> None:
    """The kernel would kill it; nothing is changed, and it is tried again."""
    machine = Machine(**before)
    machine.used = used
    again = await machine.resizer(tmp_path).resize(pod(**after))
    assert again == (problem is not None)
    if problem is not None:
        assert machine.noted == [f"cannot decrease memory limits: {problem}"]
        assert machine.steps == []


async def test_refusal_half_way_is_made_good(tmp_path: Path) -> None:
    """One container has its new share already when all is tried again."""
    machine = Machine(a=SMALL, b=SMALL)
    machine.refuses = "b"
    resizer = machine.resizer(tmp_path)
    wanted = pod(a=sized("400m", "200Mi"), b=sized("200m", "100Mi"))
    assert await resizer.resize(wanted)
    assert machine.noted == ["UpdateContainerResources: no"]
    assert machine.quotas == {"a": 40_000}
    machine.refuses = ""
    assert not await resizer.resize(wanted)
    assert machine.steps[-1] == "pod 614 60000 300"
    assert machine.quotas == {"a": 40_000, "b": 20_000}


async def test_what_the_kernel_refuses_is_told(tmp_path: Path) -> None:
    """And the resize goes on later."""
    machine = Machine(a=LARGE)
    machine.used = {"a": 1}
    machine.quotas["foreign"] = 1_000_000
    assert await machine.resizer(tmp_path).resize(pod(a=SMALL))
    assert "Invalid argument" in machine.noted[0]
    assert machine.before


async def test_pod_that_has_what_is_allocated_is_left_alone(tmp_path: Path) -> None:
    """At every sync of every pod."""
    machine = Machine()
    assert not await machine.resizer(tmp_path).resize(pod(a=SMALL))
    assert (machine.steps, machine.noted) == ([], ["nothing"])


@pytest.mark.parametrize(
    ("policy", "after", "expected"),
    [
        ([], LARGE, set()),
        ([("cpu", "NotRequired"), ("memory", "NotRequired")], LARGE, set()),
        ([("cpu", "NotRequired"), ("memory", "RestartContainer")], LARGE, {"a"}),
        ([("memory", "RestartContainer")], sized("200m", "100Mi"), set()),
        ([("cpu", "RestartContainer")], sized("200m", "100Mi"), {"a"}),
        # Requests count as limits do.
        ([("cpu", "RestartContainer")], sized("100m", "100Mi", request_cpu="50m"), {"a"}),
        ([("cpu", "RestartContainer")], SMALL, set()),
    ],
)
async def test_who_starts_anew(
    tmp_path: Path, policy: list[tuple[str, str]], after: Json, expected: set[str]
) -> None:
    """Containers that cannot take the change of that resource while they run."""
    wanted = pod(a=after)
    wanted.raw["spec"]["containers"][0]["resizePolicy"] = [
        {"resourceName": name, "restartPolicy": restart} for name, restart in policy
    ]
    machine = Machine(a=SMALL)
    assert machine.resizer(tmp_path).restarts(wanted, machine.cache.get(UID)) == expected


async def test_resize_that_waits_has_its_room_once_another_pod_ended(tmp_path: Path) -> None:
    """At once: neither the resync nor the slow look at what waits comes in time."""

    def asking(name: str, uid: str, cpu: str, *, generation: int = 1) -> Json:
        container = {"name": name, "image": "busybox:1", "imagePullPolicy": "Never"}
        asked = container | {"resources": {"requests": {"cpu": cpu}}}
        made = pod_json(name, uid, containers=[asked], restartPolicy="Never")
        return made | {"metadata": made["metadata"] | {"generation": generation}}

    def cpu_of(status: Json) -> str:
        return str(status["containerStatuses"][0]["allocatedResources"]["cpu"])

    # The machine has 64.
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(asking("large", "u1", "40"))
        await edge.put(asking("small", "u2", "20"))
        for uid in ("u1", "u2"):
            await edge.status(uid, is_running)
        await edge.put(asking("small", "u2", "30", generation=2), revision="r2")
        status = await edge.status(
            "u2", lambda each: any(one["type"] == "PodResizePending" for one in each["conditions"])
        )
        assert cpu_of(status) == "20"
        fake.exit_container(fake.container_named("large"), 0)
        status = await edge.status("u2", lambda each: cpu_of(each) == "30")
        assert all(one["type"] != "PodResizePending" for one in status["conditions"])
