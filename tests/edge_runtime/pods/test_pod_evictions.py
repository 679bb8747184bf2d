"""Evicted pods: which may be ended, and that they end whatever the disk says."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.pods.lifecycle_hooks import LifecycleHooks
from edge_runtime.pods.pod_events import PodEvents
from edge_runtime.pods.pod_evictions import PodEvictions
from edge_runtime.pods.pod_termination import PodTermination
from edge_runtime.pods.pod_work import WorkState
from edge_runtime.runtime.cri_client import CriClient
from edge_runtime.store.errors import StoreError
from edge_runtime.store.local_pod_state import LocalPodState
from edge_runtime.store.status_store import StatusStore, StoredStatus
from tests.fakes.edge_pods import edge_pods, is_running, pod_json, running_ids, until
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    import pytest

    from edge_runtime.objects.pod_failure import PodFailure
    from tests.fakes.edge_pods import EdgePods

UID = PodUID("u")


@contextlib.asynccontextmanager
async def _evictions(edge: EdgePods, fake: FakeCri) -> AsyncIterator[PodEvictions]:
    events = PodEvents(edge.recorder)
    async with CriClient(fake.endpoint) as client:
        remover = PodTermination(
            client,
            pleg=edge.pleg,
            cache=edge.cache,
            hooks=LifecycleHooks(client, events=events),
            volumes=edge.parts.volumes,
            events=events,
            settings=edge.settings,
        )
        yield PodEvictions(edge.workers, remover=remover, events=events)


async def _evict(edge: EdgePods, fake: FakeCri, pod: Pod) -> bool:
    async with _evictions(edge, fake) as evictions:
        return evictions.evict(pod, message="full", grace_period_s=1, is_disruption=True)


async def test_critical_pod_is_left_alone(tmp_path: Path) -> None:
    """And so is one that nobody knows."""
    critical = pod_json(priority=2_000_000_000, priorityClassName="system-node-critical")
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(critical)
        await edge.status("u", is_running)
        assert not await _evict(edge, fake, Pod(critical))
        assert not await _evict(edge, fake, Pod(pod_json(uid="unknown")))
        assert running_ids(fake)


async def test_pod_that_ends_for_a_full_disk_is_stopped_although_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end is what makes room; its status is told once there is some."""
    is_full = False
    put_failure, put_all = LocalPodState.put_failure, StatusStore.put_all

    async def refuse_failure(self: LocalPodState, uid: PodUID, failure: PodFailure) -> None:
        if is_full:
            raise StoreError("the disk is full")
        await put_failure(self, uid, failure)

    async def refuse_statuses(self: StatusStore, statuses: Sequence[StoredStatus]) -> None:
        if is_full:
            raise StoreError("the disk is full")
        await put_all(self, statuses)

    monkeypatch.setattr(LocalPodState, "put_failure", refuse_failure)
    monkeypatch.setattr(StatusStore, "put_all", refuse_statuses)
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json())
        await edge.status("u", is_running)
        is_full = True
        assert await _evict(edge, fake, Pod(pod_json()))
        await until(lambda: not running_ids(fake))
        is_full = False
        status = await edge.status("u", lambda each: each["phase"] == "Failed")
    assert status["reason"] == "Evicted"


async def test_ended_pod_gives_its_disk_back_and_keeps_its_status(tmp_path: Path) -> None:
    """Else an evicted pod would free nothing, and all others would follow it."""
    async with FakeCri(tmp_path) as fake:
        fake.add_image("busybox:1")
        async with edge_pods(tmp_path, fake) as edge:
            await edge.put(pod_json())
            await edge.put(pod_json("other", "other"))
            await edge.status("other", is_running)
            await edge.status("u", is_running)
            assert await _evict(edge, fake, Pod(pod_json()))
            before = await edge.status("u", lambda each: each["phase"] == "Failed")
            await until(lambda: edge.workers.state(UID) is WorkState.TERMINATED)
            async with _evictions(edge, fake) as evictions:
                await evictions.remove_ended()
            assert list(fake.containers) == running_ids(fake)
            assert not list((tmp_path / "pods/ns_p_u").rglob("*.log"))
            assert edge.statuses.get(UID) == before
        async with edge_pods(tmp_path, fake) as edge:
            await until(lambda: edge.workers.state(UID) is WorkState.TERMINATED)
            assert edge.statuses.get(UID) == before
