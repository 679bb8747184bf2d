"""A site's machine boots while the cloud is away: how long until all its pods run again.

Each pod has a ConfigMap, a Secret, its token and an emptyDir mounted. The baseline are the CRI
calls that the very same pods cannot do without, all pods at once, on the same machine after the
same loss of power: their configurations are read from the runtime beforehand.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeVar

from google.protobuf import json_format

from benchmarks.figure import Figure, median_figure
from benchmarks.setting import IN, NAMESPACE, Json, Setting, devcluster
from cri_protos import api_pb2 as pb
from devcluster.cluster import Cluster
from devcluster.parts import Parts
from edge_runtime.runtime.cri_channel import SANDBOX_TIMEOUT_S, CriChannel

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from google.protobuf.message import Message

    from devcluster.layout import SiteLayout

_Response = TypeVar("_Response", bound="Message")

FEW, MANY = 11, 30
ROUNDS = 3
BOOT_TIMEOUT_S = 120
# Far from the attempts that the edge counts.
BARE_ATTEMPT = 1000
USER_HZ = 100
NS_PER_S = 1e9
_SERVICE = "/runtime.v1.RuntimeService"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One pod's configuration, as the runtime was given it."""

    sandbox: pb.PodSandboxConfig
    containers: tuple[pb.ContainerConfig, ...]


def measure(setting: Setting) -> list[Figure]:
    """Boot with few pods and with many, three times each, and as often by bare calls."""
    setting.kubectl("apply", "-f", "-", stdin=json.dumps(_listing(objects(NAMESPACE))).encode())
    figures = []
    for count in (FEW, MANY):
        pods = [with_volumes(setting.pod(f"reboot-{number}")) for number in range(count)]
        setting.kubectl("apply", "-f", "-", stdin=json.dumps(_listing(pods)).encode())
        _wait_ready(setting)
        with_edge, bare = boots(setting.site, NAMESPACE, pods=count)
        figures.append(
            median_figure(
                f"offline reboot to {count} pods running, {ROUNDS} boots, p50",
                with_edge,
                bare,
                unit="s",
                baseline_name="the CRI calls of the same pods, all at once, after the same reboot",
            )
        )
        _wait_ready(setting)
    return figures


def boots(
    site: SiteLayout, namespace: str, *, pods: int, rounds: int = ROUNDS
) -> tuple[list[float], list[float]]:
    """Cut the site off, boot it by turns with bare calls and with the edge, heal the link.

    Args:
        site: Whose machine.
        namespace: Where all its pods are.
        pods: How many.
        rounds: How often.

    Returns:
        Seconds from the edge's start until the last pod's last container ran; and those from the
        first bare call until then.
    """
    starts = asyncio.run(_read_starts(site, namespace))
    assert len(starts) == pods, f"{len(starts)} of {pods} pods run"
    with_edge, bare = [], []
    devcluster("link", "cut", site.name, "--how", "down")
    try:
        for _ in range(rounds):
            reboot(site)
            bare.append(asyncio.run(_start_bare(site, starts)))
            reboot(site)
            devcluster("start", "edge", site.name)
            with_edge.append(asyncio.run(_until_running(site, starts)))
    finally:
        devcluster("link", "heal", site.name)
        devcluster("start", "edge", site.name)
    return with_edge, bare


def objects(namespace: str) -> list[Json]:
    """Return the ConfigMap and the Secret that the pods share."""
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "reboot", "namespace": namespace},
            "data": {"greeting": "hello"},
        },
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "reboot", "namespace": namespace},
            "stringData": {"word": "open sesame"},
        },
    ]


def with_volumes(pod: Json) -> Json:
    """Return a pod whose containers have all that must be there again after a reboot.

    Below `/mnt`: `config`, `secret` and `scratch`; its token is where it always is.
    """
    volumes = [
        {"name": "config", "configMap": {"name": "reboot"}},
        {"name": "secret", "secret": {"secretName": "reboot"}},
        {"name": "scratch", "emptyDir": {}},
    ]
    mounts = [{"name": each["name"], "mountPath": f"/mnt/{each['name']}"} for each in volumes]
    containers = [each | {"volumeMounts": mounts} for each in pod["spec"]["containers"]]
    spec = pod["spec"] | {"containers": containers, "volumes": volumes}
    return pod | {"spec": spec | {"automountServiceAccountToken": True}}


def reboot(site: SiteLayout) -> None:
    """Take the machine its power and boot it, up to its containerd."""
    devcluster("power", "off", site.name)
    devcluster("power", "on", site.name)


def _listing(items: Sequence[Json]) -> Json:
    return {"apiVersion": "v1", "kind": "List", "items": list(items)}


def _wait_ready(setting: Setting) -> None:
    setting.kubectl(*IN, "wait", "--for=condition=Ready", "pods", "--all", "--timeout=120s")


async def _read_starts(site: SiteLayout, namespace: str) -> list[Start]:
    """Return how each pod of the namespace that runs was started."""
    async with _Runtime(site) as runtime:
        wanted = pb.PodSandboxFilter(
            state=pb.PodSandboxStateValue(state=pb.SANDBOX_READY),
            label_selector={"io.kubernetes.pod.namespace": namespace},
        )
        request = pb.ListPodSandboxRequest(filter=wanted)
        listed = await runtime.call("ListPodSandbox", request, pb.ListPodSandboxResponse)
        return [await _read_start(runtime, each.id) for each in listed.items]


async def _read_start(runtime: _Runtime, sandbox_id: str) -> Start:
    asked = pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox_id, verbose=True)
    status = await runtime.call("PodSandboxStatus", asked, pb.PodSandboxStatusResponse)
    sandbox = json_format.ParseDict(
        json.loads(status.info["info"])["config"], pb.PodSandboxConfig(), ignore_unknown_fields=True
    )
    sandbox.metadata.attempt = BARE_ATTEMPT
    containers = []
    for each in await runtime.containers(sandbox_id=sandbox_id):
        wanted = pb.ContainerStatusRequest(container_id=each.id, verbose=True)
        found = await runtime.call("ContainerStatus", wanted, pb.ContainerStatusResponse)
        config = _container_config(json.loads(found.info["info"])["config"])
        config.metadata.attempt = BARE_ATTEMPT
        containers.append(config)
    return Start(sandbox=sandbox, containers=tuple(containers))


def _container_config(told: Json) -> pb.ContainerConfig:
    """Return a container's configuration as it is asked for, from how containerd shows it."""
    # In our protocol values are bytes, since the variables of Linux are; protobuf's JSON has those
    # in base64.
    told["envs"] = [
        each | {"value": base64.b64encode(each.get("value", "").encode()).decode()}
        for each in told.get("envs") or ()
    ]
    return json_format.ParseDict(told, pb.ContainerConfig(), ignore_unknown_fields=True)


async def _start_bare(site: SiteLayout, starts: Sequence[Start]) -> float:
    """Start all pods at once, take them down again, return the seconds until the last ran."""
    async with _Runtime(site) as runtime:
        began_s = time.time()
        sandboxes = await asyncio.gather(*(_start_one(runtime, each) for each in starts))
        try:
            return await runtime.last_started_s(sandboxes) - began_s
        finally:
            for sandbox_id in sandboxes:
                stop = pb.StopPodSandboxRequest(pod_sandbox_id=sandbox_id)
                await runtime.call("StopPodSandbox", stop, pb.StopPodSandboxResponse)
                remove = pb.RemovePodSandboxRequest(pod_sandbox_id=sandbox_id)
                await runtime.call("RemovePodSandbox", remove, pb.RemovePodSandboxResponse)


async def _start_one(runtime: _Runtime, start: Start) -> str:
    run = pb.RunPodSandboxRequest(config=start.sandbox)
    answer = await runtime.call("RunPodSandbox", run, pb.RunPodSandboxResponse)
    for config in start.containers:
        create = pb.CreateContainerRequest(
            pod_sandbox_id=answer.pod_sandbox_id, config=config, sandbox_config=start.sandbox
        )
        created = await runtime.call("CreateContainer", create, pb.CreateContainerResponse)
        starting = pb.StartContainerRequest(container_id=created.container_id)
        await runtime.call("StartContainer", starting, pb.StartContainerResponse)
    return answer.pod_sandbox_id


async def _until_running(site: SiteLayout, starts: Sequence[Start]) -> float:
    """Wait until every container runs; return the seconds from the edge's start until then."""
    wanted = sorted((s.sandbox.metadata.uid, c.metadata.name) for s in starts for c in s.containers)
    async with _Runtime(site) as runtime, asyncio.timeout(BOOT_TIMEOUT_S):
        while True:
            edge_started_s = _started_s(site)
            found = await runtime.containers(is_running=True)
            names = ((f.labels["io.kubernetes.pod.uid"], f.metadata.name) for f in found)
            if sorted(names) == wanted:
                break
            # CRI of this containerd has no events; the times come from it, not from here.
            await asyncio.sleep(0.1)
        sandboxes = {each.pod_sandbox_id for each in found}
        return await runtime.last_started_s(sandboxes) - edge_started_s


def _started_s(site: SiteLayout) -> float:
    """Return when the edge's process started, in seconds since the epoch."""
    process = Cluster.require().parts.running(Parts.of_machine("edge", site))
    assert process is not None, "the edge ended"
    since_boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.time() - (since_boot_s - process.start_ticks / USER_HZ)


class _Runtime:
    """The site's runtime, called as CRI has it."""

    def __init__(self, site: SiteLayout) -> None:
        self._endpoint = f"unix://{site.containerd_socket}"

    async def __aenter__(self) -> Self:
        self._channel = CriChannel(self._endpoint)
        await self.containers()  # connects
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._channel.close()

    async def call(self, name: str, request: Message, response: type[_Response]) -> _Response:
        """Call a method of CRI; raises RuntimeServiceError."""
        return await self._channel.unary(
            f"{_SERVICE}/{name}", request, response, timeout_s=SANDBOX_TIMEOUT_S
        )

    async def containers(
        self, *, sandbox_id: str = "", is_running: bool = False
    ) -> list[pb.Container]:
        """Return containers, all or only some."""
        wanted = pb.ContainerFilter(pod_sandbox_id=sandbox_id)
        if is_running:
            wanted.state.state = pb.CONTAINER_RUNNING
        request = pb.ListContainersRequest(filter=wanted)
        answer = await self.call("ListContainers", request, pb.ListContainersResponse)
        return list(answer.containers)

    async def last_started_s(self, sandboxes: Collection[str]) -> float:
        """Return when the last container of the sandboxes started, in seconds since the epoch."""
        started = []
        for sandbox_id in sandboxes:
            for each in await self.containers(sandbox_id=sandbox_id):
                request = pb.ContainerStatusRequest(container_id=each.id)
                found = await self.call("ContainerStatus", request, pb.ContainerStatusResponse)
                started.append(found.status.started_at / NS_PER_S)
        return max(started)
