"""Desired pods in any order: what must hold, holds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cri_protos import api_pb2 as pb
from edge_runtime.objects.pod import PodUID
from edge_runtime.pod_status.pod_phase import TERMINAL_PHASES
from tests.fakes.edge_pods import EdgePods, deleted, edge_pods, pod_json, running_ids, until
from tests.fakes.fake_cri import FakeCri
from tunnel.sync import PodGone

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

UID = PodUID("u")
_steps = st.lists(
    st.sampled_from(["put", "exit 0", "exit 1", "lose", "delete", "hurry", "forget", "wait"]),
    min_size=1,
    max_size=8,
)


class _Watch:
    """Checks on every status and every start what must never happen."""

    def __init__(self, fake: FakeCri) -> None:
        self._fake = fake
        self.status: Any = None
        self.is_ended = False
        self.starts_at_end = 0

    def end(self) -> None:
        """The pod is to end: no container is created once that is known."""
        if not self.is_ended:
            self.is_ended = True
            self.starts_at_end = len(self._fake.called("CreateContainer"))

    def check(self, edge: EdgePods) -> None:
        """Compare the newest status with the one before."""
        body = edge.statuses.body(UID)
        running = running_ids(self._fake)
        assert len(running) <= 1
        if body is None:
            return
        if self.status is not None:
            before, after = self.status, body.status
            assert (
                after["containerStatuses"][0]["restartCount"]
                >= before["containerStatuses"][0]["restartCount"]
            )
            if before["phase"] in TERMINAL_PHASES:
                assert after["phase"] == before["phase"]
        self.status = body.status


async def _step(step: str, edge: EdgePods, fake: FakeCri, watch: _Watch) -> None:
    match step.split():
        case ["put"] if not watch.is_ended:
            await edge.put(pod_json(restartPolicy="OnFailure"))
        case ["exit", code]:
            for container_id in running_ids(fake):
                fake.exit_container(container_id, int(code))
        case ["lose"]:
            for sandbox_id, sandbox in fake.sandboxes.items():
                if sandbox.state == pb.SANDBOX_READY:
                    fake.stop_sandbox(sandbox_id)
        case ["delete" | "hurry" as how]:
            watch.end()
            grace_period_s = 30 if how == "delete" else 1
            pod = deleted(pod_json(restartPolicy="OnFailure"), grace_period_s=grace_period_s)
            await edge.put(pod, revision=how)
        case ["forget"]:
            watch.end()
            await edge.manager.forget(UID)
        case _:
            await asyncio.sleep(0.03)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_steps)
def test_no_order_of_events_breaks_what_must_hold(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    """No second copy, no falling count, no changed terminal phase, no start after the end began."""

    async def scenario() -> None:
        folder = tmp_path_factory.mktemp("edge")
        async with FakeCri(folder) as fake, edge_pods(folder, fake) as edge:
            fake.add_image("busybox:1")
            watch = _Watch(fake)
            for step in steps:
                await _step(step, edge, fake, watch)
                watch.check(edge)
            # A start that was under way when the end began is finished, and then stopped.
            watch.end()
            if edge.manager.get("ns", "p") is not None:
                await edge.put(deleted(pod_json(restartPolicy="OnFailure")), revision="last")
            await until(lambda: not fake.sandboxes and not edge.workers.is_known(UID))
            watch.check(edge)
            assert len(fake.called("CreateContainer")) <= watch.starts_at_end + 1
            assert not fake.containers

    asyncio.run(scenario())


async def test_tombstone_survives_a_restart(tmp_path: Path) -> None:
    """The next process does not start it either, and tells again that it is gone."""
    gone = PodGone(uid="u", sequence=0)
    async with FakeCri(tmp_path) as fake:
        async with edge_pods(tmp_path, fake) as edge:
            assert await edge.put(deleted(pod_json())) == gone
        async with edge_pods(tmp_path, fake) as edge:
            assert edge.manager.gone() == [gone]
            assert await edge.put(pod_json()) == gone
            await edge.manager.desired([])
            assert edge.manager.gone() == []


async def test_forgotten_pod_is_stopped_by_the_next_process(tmp_path: Path) -> None:
    """A PodForget that was taken is carried out, whatever happens to the process."""
    async with FakeCri(tmp_path) as fake:
        fake.add_image("busybox:1")
        async with edge_pods(tmp_path, fake) as edge:
            await edge.put(pod_json())
            await until(lambda: bool(running_ids(fake)))
            released = fake.hold("StopContainer")
            await edge.manager.forget(UID)
            assert edge.manager.revisions() == {}
        released.set()
        async with edge_pods(tmp_path, fake) as edge:
            await until(lambda: not fake.sandboxes and not edge.workers.is_known(UID))
            assert edge.manager.list() == []
            assert edge.manager.gone() == []


async def test_names_and_uids_find_pods(tmp_path: Path) -> None:
    """For the API: the wanted one of a name, or the one of that UID."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json())
        assert edge.manager.get("ns", "p") is not None
        assert edge.manager.get("ns", "p", PodUID("other")) is None
        assert edge.manager.get("other", "p") is None
        assert [each.uid for each in edge.manager.list()] == ["u"]
