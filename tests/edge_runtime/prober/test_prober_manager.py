"""Probes of whole pods in virtual time: when they ask, and what they make known."""

from __future__ import annotations

import asyncio
import contextlib
import random
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.container import ContainerID, ProbeKind
from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.prober.prober import ProbeOutcome
from edge_runtime.prober.prober_manager import ProberManager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.probe_results import ContainerProbes
    from edge_runtime.prober.prober import ProbeTarget

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

UID = PodUID("u")
# Virtual time starts at 0; the world's clock runs with it.
EPOCH_S = 1767225600.0
FIRST, SECOND = ContainerID("first"), ContainerID("second")
READINESS, LIVENESS, STARTUP = ProbeKind.READINESS, ProbeKind.LIVENESS, ProbeKind.STARTUP


class _NoJitter(random.Random):
    """Begins at once."""

    def random(self) -> float:
        return 0.0


def _seeded() -> random.Random:
    return random.Random(1)  # noqa: S311  # the same each time


class _Site:
    """A manager, the status of its one pod, and how its containers answer."""

    def __init__(self, *, jitter: random.Random | None = None) -> None:
        self.status: Json | None = None
        self.answers: dict[ProbeKind, bool | None] = {}
        self.asked: list[tuple[float, str, ProbeKind]] = []
        self.told: list[float] = []
        self.forgotten: list[PodUID] = []
        self.busy_s = 0.0
        self.manager = ProberManager(
            probe=self._probe,
            statuses=self,
            on_result=lambda _: self.told.append(self.time()),
            now=lambda: EPOCH_S + self.time(),
            rng=jitter or _NoJitter(),
            forgotten=self.forgotten.append,
        )

    def time(self) -> float:
        return asyncio.get_running_loop().time()

    def get(self, uid: PodUID) -> Json | None:
        return self.status if uid == UID else None

    async def _probe(self, target: ProbeTarget) -> ProbeOutcome | None:
        self.asked.append((self.time(), target.container.name, target.spec.kind))
        if self.busy_s:
            await asyncio.sleep(self.busy_s)
        found = self.answers.get(target.spec.kind, True)
        return None if found is None else ProbeOutcome(is_success=found, message="words")

    def run_container(
        self, name: str = "c", container_id: ContainerID = FIRST, *, since_s: float | None = None
    ) -> None:
        """Show a container that runs since then (now)."""
        moment = datetime.fromtimestamp(
            EPOCH_S + (self.time() if since_s is None else since_s), UTC
        )
        entry = {
            "name": name,
            "containerID": f"containerd://{container_id}",
            "state": {"running": {"startedAt": moment.strftime("%Y-%m-%dT%H:%M:%SZ")}},
        }
        self.status = {"phase": "Running", "podIP": "10.0.0.1", "containerStatuses": [entry]}

    def end_container(self) -> None:
        """Show that the container ended."""
        assert self.status is not None
        self.status["containerStatuses"][0]["state"] = {"terminated": {"exitCode": 1}}

    def times(self, kind: ProbeKind) -> list[float]:
        """Return when a question was asked."""
        return [when for when, _, asked in self.asked if asked is kind]

    def known(self, container_id: ContainerID = FIRST, name: str = "c") -> ContainerProbes:
        """Return the verdicts on a container."""
        return self.manager.view(UID).of(name, container_id)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[_Site]:
        """Probe meanwhile."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.manager.run())
            await asyncio.sleep(0)
            yield self
            task.cancel()


def _pod(*, init: Json | None = None, **probes: Any) -> Pod:  # noqa: ANN401  # API JSON
    spec: Json = {"containers": [{"name": "c", **probes}]}
    if init is not None:
        spec["initContainers"] = [init]
    return Pod({"metadata": {"name": "p", "namespace": "ns", "uid": UID}, "spec": spec})


def _probe(**fields: int) -> Json:
    return {"exec": {"command": ["true"]}, **fields}


async def test_a_pod_without_probes_costs_nothing() -> None:
    """No task, no verdict."""
    async with _Site().running() as site:
        before = len(asyncio.all_tasks())
        site.manager.add_pod(_pod())
        assert len(asyncio.all_tasks()) == before
        assert site.known().ready is None


async def test_probes_keep_their_period() -> None:
    """The first at once, the others a period apart, whenever the container started."""
    async with _Site().running() as site:
        site.manager.add_pod(_pod(livenessProbe=_probe(periodSeconds=5)))
        await asyncio.sleep(7)
        site.run_container()
        await asyncio.sleep(15.5)
        assert site.times(LIVENESS) == [10.0, 15.0, 20.0]


async def test_a_slow_probe_is_made_up_for_once() -> None:
    """7 s with a period of 5: the missed tick at once, then the rhythm again."""
    async with _Site().running() as site:
        site.run_container()
        site.busy_s = 7
        site.manager.add_pod(_pod(livenessProbe=_probe(periodSeconds=5)))
        await asyncio.sleep(25)
        assert site.times(LIVENESS) == [0.0, 7.0, 14.0, 21.0]


async def test_the_first_probes_after_a_start_are_spread() -> None:
    """A random part of a period, while the process is younger than that."""
    async with _Site(jitter=_seeded()).running() as site:
        site.run_container()
        site.manager.add_pod(_pod(livenessProbe=_probe()))
        await asyncio.sleep(10)
        jitter_s = _seeded().random() * 10
        assert site.times(LIVENESS) == [pytest.approx(jitter_s)]


async def test_a_pod_that_comes_later_is_not_spread() -> None:
    """Only a start brings all pods at once."""
    async with _Site(jitter=_seeded()).running() as site:
        await asyncio.sleep(11)
        site.run_container()
        site.manager.add_pod(_pod(livenessProbe=_probe()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert site.times(LIVENESS) == [11.0]


async def test_readiness_is_told_when_it_changes() -> None:
    """Ready at the first success, unready after three failures, told once each."""
    async with _Site().running() as site:
        site.run_container()
        site.manager.add_pod(_pod(readinessProbe=_probe(periodSeconds=1)))
        await asyncio.sleep(2.5)
        assert site.known().ready is True
        site.answers[READINESS] = False
        await asyncio.sleep(2)
        assert site.known().ready is True
        await asyncio.sleep(1)
        assert site.known().ready is False
        assert site.told == [0.0, 5.0]


async def test_an_unready_container_can_be_asked_out_of_turn() -> None:
    """As soon as its status shows that it runs; the rhythm starts anew from there."""
    async with _Site().running() as site:
        site.manager.add_pod(_pod(readinessProbe=_probe()))
        await asyncio.sleep(3)
        site.manager.trigger_readiness(UID)
        site.run_container()
        site.manager.trigger_readiness(UID)
        await asyncio.sleep(11)
        site.manager.trigger_readiness(UID)  # it is ready: nobody needs to ask
        await asyncio.sleep(1)
        assert site.times(READINESS) == [3.0, 13.0]


async def test_startup_comes_before_everything_else() -> None:
    """Until it succeeded nothing else is asked, not even out of turn; then it is asked no more."""
    async with _Site().running() as site:
        site.run_container()
        site.answers[STARTUP] = False
        site.manager.add_pod(
            _pod(
                startupProbe=_probe(periodSeconds=2, failureThreshold=30),
                livenessProbe=_probe(periodSeconds=2),
                readinessProbe=_probe(periodSeconds=2),
            )
        )
        await asyncio.sleep(3)
        site.manager.trigger_readiness(UID)
        assert {kind for _, _, kind in site.asked} == {STARTUP}
        site.answers[STARTUP] = True
        await asyncio.sleep(4.5)
        assert site.times(STARTUP) == [0.0, 2.0, 4.0]
        assert site.times(LIVENESS)[0] in (4.0, 6.0)
        assert (site.known().started, site.known().ready) == (True, True)


async def test_a_failed_startup_probe_kills_and_waits_for_the_successor() -> None:
    """Its verdict says why; the next attempt starts from nothing."""
    async with _Site().running() as site:
        site.run_container()
        site.answers[STARTUP] = False
        site.manager.add_pod(_pod(startupProbe=_probe(periodSeconds=1, failureThreshold=2)))
        await asyncio.sleep(5)
        assert (site.known().started, site.known().failure) == (False, "words")
        assert site.times(STARTUP) == [0.0, 1.0]
        site.answers[STARTUP] = True
        site.run_container(container_id=SECOND)
        await asyncio.sleep(1)
        assert site.known(SECOND).started is True
        assert site.told == [1.0, 5.0]


async def test_liveness_is_told_only_when_it_fails() -> None:
    """And then asked no more until there is a new container."""
    async with _Site().running() as site:
        site.run_container()
        site.manager.add_pod(_pod(livenessProbe=_probe(periodSeconds=1)))
        await asyncio.sleep(2.5)
        assert site.told == []
        site.answers[LIVENESS] = False
        await asyncio.sleep(10)
        assert site.told == [5.0]
        assert site.known().live is False
        assert site.times(LIVENESS)[-1] == 5.0


async def test_a_crash_forgets_the_verdict_but_not_the_run() -> None:
    """Two failures before it and one after make three."""
    async with _Site().running() as site:
        site.run_container()
        site.answers[LIVENESS] = False
        site.manager.add_pod(_pod(livenessProbe=_probe()))
        await asyncio.sleep(12)
        site.end_container()
        await asyncio.sleep(10)
        site.run_container(container_id=SECOND)
        await asyncio.sleep(10)
        assert site.times(LIVENESS) == [0.0, 10.0, 30.0]
        assert site.known(SECOND).live is False


async def test_an_error_counts_as_nothing() -> None:
    """Neither for nor against the container."""
    async with _Site().running() as site:
        site.run_container()
        site.manager.add_pod(_pod(readinessProbe=_probe(periodSeconds=1, failureThreshold=2)))
        await asyncio.sleep(0.5)
        for found in (False, None, None, True, False, None):
            site.answers[READINESS] = found
            await asyncio.sleep(1)
        assert site.known().ready is True


async def test_a_restarted_edge_keeps_what_was_known() -> None:
    """A pod does not turn unready, nor starts again, because the edge was updated."""
    site = _Site()
    site.run_container(since_s=-60)
    assert site.status is not None
    site.status["containerStatuses"][0] |= {"ready": True, "started": True}
    probes = {"startupProbe": _probe(), "readinessProbe": _probe(periodSeconds=1)}
    site.answers[READINESS] = False
    site.manager = ProberManager(
        probe=site._probe,
        statuses=site,
        on_result=lambda _: None,
        now=lambda: EPOCH_S + site.time(),
    )
    site.manager.add_pod(_pod(**probes))
    assert (site.known().started, site.known().ready) == (True, True)
    async with site.running():
        await asyncio.sleep(2)
        assert site.known().ready is True
        await asyncio.sleep(2)
        assert site.known().ready is False
        assert site.times(STARTUP) == []


async def test_a_container_of_this_process_is_not_taken_for_probed() -> None:
    """What its status says of it was not found by a probe."""
    async with _Site().running() as site:
        site.run_container()
        assert site.status is not None
        site.status["containerStatuses"][0] |= {"ready": True, "started": True}
        site.manager.add_pod(_pod(readinessProbe=_probe(), startupProbe=_probe()))
        assert (site.known().started, site.known().ready) == (None, None)


async def test_when_a_pod_ends_only_readiness_goes_on() -> None:
    """A container that had not started counts as started, so that its readiness is asked."""
    async with _Site().running() as site:
        site.run_container()
        site.answers[STARTUP] = False
        site.manager.add_pod(
            _pod(
                startupProbe=_probe(periodSeconds=1, failureThreshold=99),
                livenessProbe=_probe(periodSeconds=1),
                readinessProbe=_probe(periodSeconds=1),
            )
        )
        await asyncio.sleep(2.5)
        site.manager.stop_liveness(UID)
        site.manager.stop_liveness(UID)
        assert site.known().started is True
        before = len(site.asked)
        await asyncio.sleep(3)
        assert {kind for _, _, kind in site.asked[before:]} == {READINESS}
        assert site.known().ready is True


async def test_a_removed_pod_is_asked_no_more() -> None:
    """Also while a probe of it is under way; its tasks end."""
    async with _Site().running() as site:
        before = len(asyncio.all_tasks())
        site.run_container()
        site.busy_s = 100
        site.manager.add_pod(_pod(readinessProbe=_probe(), livenessProbe=_probe()))
        await asyncio.sleep(1)
        site.manager.remove_pod(UID)
        assert site.forgotten == [UID]
        await asyncio.sleep(1)
        assert len(asyncio.all_tasks()) == before
        assert site.known().ready is None
        site.manager.remove_pod(UID)
        site.manager.stop_liveness(UID)
        site.manager.trigger_readiness(UID)


async def test_probes_end_with_their_pod() -> None:
    """A terminal phase never changes, so nobody asks again."""
    async with _Site().running() as site:
        before = len(asyncio.all_tasks())
        site.manager.add_pod(_pod(readinessProbe=_probe()))
        site.status = {"phase": "Failed"}
        await asyncio.sleep(11)
        assert len(asyncio.all_tasks()) == before


async def test_sidecars_are_probed_and_init_containers_are_not() -> None:
    """The API lets only containers that go on have probes."""
    async with _Site().running() as site:
        side = {"name": "side", "restartPolicy": "Always", "readinessProbe": _probe()}
        site.run_container("side")
        site.manager.add_pod(_pod(init=side))
        await asyncio.sleep(1)
        assert site.known(name="side").ready is True


async def test_pods_that_came_before_the_loop_are_probed_too() -> None:
    """What is on disk comes first."""
    site = _Site()
    site.manager.add_pod(_pod(readinessProbe=_probe()))
    site.run_container()
    async with site.running():
        await asyncio.sleep(1)
        assert site.known().ready is True


async def test_a_bug_in_one_probe_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and asked again at the next tick."""
    async with _Site().running() as site:
        site.manager.add_pod(_pod(readinessProbe=_probe(periodSeconds=1)))
        site.status = {"phase": "Running", "containerStatuses": [{}]}
        await asyncio.sleep(1.5)
        site.run_container()
        await asyncio.sleep(1)
        assert site.known().ready is True
    assert "a probe failed" in caplog.text


async def test_a_newer_pod_is_what_probes_speak_of() -> None:
    """Events refer to the newest object; the probes themselves never change."""
    async with _Site().running() as site:
        seen: list[Pod] = []

        async def probe(target: ProbeTarget) -> ProbeOutcome | None:
            seen.append(target.pod)
            return ProbeOutcome(is_success=True)

        site._probe = probe  # type: ignore[method-assign]
        site.manager._probe = probe
        site.run_container()
        site.manager.add_pod(_pod(readinessProbe=_probe(periodSeconds=1)))
        newer = _pod(readinessProbe=_probe(periodSeconds=1))
        site.manager.add_pod(newer)
        await asyncio.sleep(0.5)
        assert [pod is newer for pod in seen] == [True]
