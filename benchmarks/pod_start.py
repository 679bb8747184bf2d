"""Pod created to Running, one at a time, against the CRI calls that it cannot do without."""

from __future__ import annotations

import asyncio
import copy
import json
import time
import uuid
from typing import TYPE_CHECKING

import psutil

from benchmarks.figure import Figure, median_figure
from benchmarks.setting import IN, NAMESPACE, Json, Setting, devcluster
from edge_runtime.objects.cgroup_names import CgroupDriver, pod_cgroup_parent
from edge_runtime.objects.pod import Pod
from edge_runtime.objects.qos import compute_qos_class
from edge_runtime.objects.runtime_config import ResolvedImage
from edge_runtime.runtime.cri_client import CriClient
from edge_runtime.runtime.cri_config import container_config, sandbox_config
from edge_runtime.runtime.cri_resources import MachineResources

if TYPE_CHECKING:
    from collections.abc import Sequence

PODS = 8
PODS_PATH = f"/api/v1/namespaces/{NAMESPACE}/pods"


def create_pods(setting: Setting) -> list[float]:
    """Create pods one after another; return the seconds each took to be Running."""
    return asyncio.run(_create_pods(setting))


def compare(setting: Setting, created_s: Sequence[float]) -> Figure:
    """Make as many pods by bare calls, while the edge is stopped, and return the figure."""
    sample: Json = json.loads(setting.kubectl(*IN, "get", "pod", "start-0", "-o", "json"))
    # The edge would take the baseline's sandboxes for leftovers of pods that it does not know.
    devcluster("stop", "edge", setting.site.name)
    try:
        bare_s = asyncio.run(_make_bare(setting, sample))
    finally:
        devcluster("start", "edge", setting.site.name)
    return median_figure(
        f"pod created to Running, {PODS} serial, p50",
        created_s,
        bare_s,
        unit="s",
        baseline_name="RunPodSandbox, CreateContainer, StartContainer on the same containerd",
    )


async def _create_pods(setting: Setting) -> list[float]:
    """Return the seconds from each POST to the watch event that says Running."""
    took_s = []
    async with setting.api_session() as session:
        for number in range(PODS):
            name = f"start-{number}"
            query = {"watch": "1", "fieldSelector": f"metadata.name={name}"}
            async with session.get(PODS_PATH, params=query) as watch:
                watch.raise_for_status()
                started = time.perf_counter()
                async with session.post(PODS_PATH, json=setting.pod(name)) as answer:
                    answer.raise_for_status()
                async for line in watch.content:
                    if json.loads(line)["object"].get("status", {}).get("phase") == "Running":
                        break
                took_s.append(time.perf_counter() - started)
    return took_s


async def _make_bare(setting: Setting, sample: Json) -> list[float]:
    """Return the seconds of the three calls for each of as many pods like the sample."""
    took_s = []
    machine = MachineResources(memory_bytes=psutil.virtual_memory().total, cgroup_v2=False)
    async with CriClient(setting.cri_endpoint) as client:
        image = await client.image_status(sample["spec"]["containers"][0]["image"])
        assert image is not None
        for number in range(PODS):
            document = copy.deepcopy(sample)
            document["metadata"] |= {"name": f"bare-{number}", "uid": str(uuid.uuid4())}
            pod = Pod(document)
            parent = pod_cgroup_parent(
                pod.uid,
                compute_qos_class(pod),
                cgroup_root=setting.site.cgroup_root,
                driver=CgroupDriver.CGROUPFS,
            )
            sandbox = sandbox_config(
                pod,
                attempt=0,
                pod_logs_dir=str(setting.site.root / "log/pods"),
                cgroup_parent=parent,
                machine=machine,
            )
            container = container_config(
                pod,
                pod.containers[0],
                restart_count=0,
                image=ResolvedImage(ref=image.id),
                env={},
                machine=machine,
            )
            started = time.perf_counter()
            sandbox_id = await client.run_pod_sandbox(sandbox)
            try:
                container_id = await client.create_container(sandbox_id, container, sandbox)
                await client.start_container(container_id)
                took_s.append(time.perf_counter() - started)
            finally:
                await client.stop_pod_sandbox(sandbox_id)
                await client.remove_pod_sandbox(sandbox_id)
    return took_s
