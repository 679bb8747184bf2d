"""All of the edge's pod machinery over a fake container runtime, a real database and real files."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from typing import TYPE_CHECKING, Any

from cri_protos import api_pb2 as pb
from edge_runtime.objects.pod import PodUID
from edge_runtime.pod_parts import build_pod_parts
from edge_runtime.policy.edge_policy import FORBIDS_NOTHING
from edge_runtime.runtime.cri_client import CriClient
from edge_runtime.store.database import Database
from edge_runtime.telemetry.metrics import EdgeMetrics
from tests.fakes.pod_settings import make_pod_settings
from tunnel.sync import ServicesPut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from edge_runtime.objects.container import Json
    from edge_runtime.policy.edge_policy import EdgePolicy
    from tests.fakes.fake_cri import FakeCri

RELIST_PERIOD_S = 0.05
NO_SERVICES = ServicesPut(namespace="default", services=[], complete=True, revision="none")


def pod_json(name: str = "p", uid: str = "u", **spec: Any) -> Json:  # noqa: ANN401  # API JSON
    """Return a pod of one container that this edgelet supports."""
    return {
        "metadata": {"name": name, "namespace": "ns", "uid": uid, "generation": 1},
        "spec": {
            "containers": [{"name": "c", "image": "busybox:1", "imagePullPolicy": "Never"}],
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 5,
            **spec,
        },
    }


def deleted(pod: Json, *, grace_period_s: int = 5) -> Json:
    """Return the pod as it is once somebody deleted it."""
    metadata = pod["metadata"] | {
        "deletionTimestamp": "2026-01-01T00:00:00Z",
        "deletionGracePeriodSeconds": grace_period_s,
    }
    return pod | {"metadata": metadata}


class EdgePods:
    """One edge process's pod machinery; make a second one on the same folder for a restart."""

    def __init__(
        self,
        folder: Path,
        client: CriClient,
        *,
        policy: EdgePolicy = FORBIDS_NOTHING,
        relist_period_s: float = RELIST_PERIOD_S,
        metrics: EdgeMetrics | None = None,
    ) -> None:
        self.settings = dataclasses.replace(make_pod_settings(folder), policy=policy)
        self.metrics = metrics or EdgeMetrics()
        self.database = Database(folder / "edgelet.db")
        parts = build_pod_parts(
            self.database,
            client,
            settings=self.settings,
            relist_period_s=relist_period_s,
            metrics=self.metrics,
        )
        self.parts = parts
        stores = parts.stores
        self.statuses, self.records, self.recorder = stores.statuses, stores.records, stores.events
        self.cache, self.pleg = parts.cache, parts.pleg
        self.workers, self.manager = parts.workers, parts.pods

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[EdgePods]:
        """Load and run everything meanwhile."""
        try:
            await self.parts.load()
            # A provider tells of the API's own Service before anything else can start.
            await self.parts.stores.services.put(NO_SERVICES)
            async with asyncio.TaskGroup() as group:
                loops = (self.statuses, self.recorder, self.pleg, self.parts.probers)
                parts = (*loops, self.manager, self.manager.orphans)
                tasks = [group.create_task(part.run()) for part in parts]
                yield self
                for task in tasks:
                    task.cancel()
        finally:
            self.database.close()

    async def status(self, uid: str, until: Callable[[Json], bool]) -> Json:
        """Wait for a persisted status that fits; return it."""
        changes = self.statuses.changed()
        body = self.statuses.body(PodUID(uid))
        if body is not None and until(body.status):
            return body.status
        async with asyncio.timeout(10):
            async for change in changes:
                if change.uid == uid and until(change.status):
                    return change.status
        raise AssertionError("the changes of statuses never end")

    async def first_relist(self) -> None:
        """Wait until the runtime was looked at once."""
        await until(self.pleg.has_relisted)

    async def put(self, pod: Json, *, revision: str = "r1") -> object:
        """Take a pod as the sync stream does."""
        uid = PodUID(pod["metadata"]["uid"])
        return await self.manager.put(uid, revision=revision, pod=pod)

    async def gone(self, uid: str) -> int:
        """Wait until a pod is gone; return the sequence that is told with it."""
        changes = self.manager.gone_changes()
        for each in self.manager.gone():
            if each.uid == uid:
                return each.sequence
        async with asyncio.timeout(10):
            async for each in changes:
                if each.uid == uid:
                    return each.sequence
        raise AssertionError("the changes of what is gone never end")


@contextlib.asynccontextmanager
async def edge_pods(
    folder: Path,
    fake: FakeCri,
    *,
    policy: EdgePolicy = FORBIDS_NOTHING,
    relist_period_s: float = RELIST_PERIOD_S,
) -> AsyncIterator[EdgePods]:
    """Run the pod machinery of one edge process over a fake runtime."""
    async with (
        CriClient(fake.endpoint) as client,
        EdgePods(folder, client, policy=policy, relist_period_s=relist_period_s).running() as edge,
    ):
        yield edge


def is_running(status: Json) -> bool:
    """Whether the status shows a pod that runs and is ready."""
    ready = {each["type"]: each["status"] for each in status["conditions"]}
    return bool(status["phase"] == "Running" and ready["Ready"] == "True")


def running_ids(fake: FakeCri) -> list[str]:
    """Return the ids of the containers that run."""
    return [
        container_id
        for container_id, each in fake.containers.items()
        if each.status.state == pb.CONTAINER_RUNNING
    ]


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what only the fake runtime can show."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # a plain dict of the fake tells nobody
            await asyncio.sleep(0.005)
