"""Random valid pods, random events of the runtime, random probe results: what always holds.

The real workers over a runtime in memory, in virtual time. A life is a list of events; after each
one some time passes. Then the runtime behaves and nobody is woken any more. From then on a pod must
be acted on within one resync: all that was to be done at that moment is done, and a pod that is to
end has ended. What follows from that, such as the container behind a sidecar or one in its
back-off, may take a resync each: after twelve nothing is left to do.
"""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from unittest import mock

import looptime
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from edge_runtime.objects.container import ProbeKind
from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.pod_failure import PodFailure
from edge_runtime.objects.probe_results import ContainerProbes
from edge_runtime.objects.runtime_status import ContainerState, PodRuntimeStatus
from edge_runtime.pod_actions.in_place_restart import restarts_all
from edge_runtime.pod_actions.pod_actions import compute_pod_actions
from edge_runtime.pods.pod_steps import RESYNC_JITTER, RESYNC_S
from edge_runtime.pods.pod_work import WorkState
from tests.fakes.edge_pods import deleted
from tests.fakes.memory_edge import (
    EPOCH_S,
    MemoryDatabase,
    MemoryEdge,
    MemoryHooks,
    MemoryProbers,
)
from tests.fakes.memory_runtime import MemoryRuntime
from tests.fakes.pod_settings import make_pod_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.objects.container import ContainerID, Json
    from edge_runtime.objects.pod import SandboxID

UID = PodUID("u")
TERMINAL = ("Succeeded", "Failed")
ONE_RESYNC_S = RESYNC_S * (1 + RESYNC_JITTER) + 1
FAILURE = PodFailure(reason="Evicted", message="The node was low on resource: memory.")
CODES = st.sampled_from([0, 1, 3, 42, 137])
_T = TypeVar("_T")

_rules = st.lists(
    st.builds(
        lambda action, operator, values: {
            "action": action,
            "exitCodes": {"operator": operator, "values": values},
        },
        st.sampled_from(["Restart", "Restart", "RestartAllContainers"]),
        st.sampled_from(["In", "NotIn"]),
        st.lists(CODES, min_size=1, max_size=2, unique=True),
    ),
    max_size=2,
)
_PROBE = {"exec": {"command": ["true"]}}


@st.composite
def _container(draw: st.DrawFn, name: str, policies: tuple[str | None, ...]) -> Json:
    container: Json = {"name": name, "image": "i"}
    policy = draw(st.sampled_from(policies))
    is_init = name.startswith("i")
    if policy is not None:
        container["restartPolicy"] = policy
        rules = [] if is_init and policy == "Always" else draw(_rules)
        if rules:
            container["restartPolicyRules"] = rules
    if not is_init or policy == "Always":
        for kind in (ProbeKind.STARTUP, ProbeKind.LIVENESS):
            if draw(st.booleans()):
                container[kind.value] = _PROBE
        if draw(st.integers(0, 4)) == 0:
            container["lifecycle"] = {"postStart": {"exec": {"command": ["true"]}}}
    return container


@st.composite
def _pods(draw: st.DrawFn) -> Json:
    own = (None, None, None, "Always", "OnFailure", "Never")
    inits = [draw(_container(f"i{n}", own)) for n in range(draw(st.integers(0, 3)))]
    regular = [draw(_container(f"c{n}", own)) for n in range(draw(st.integers(1, 3)))]
    spec: Json = {
        "restartPolicy": draw(st.sampled_from(["Always", "OnFailure", "Never"])),
        "initContainers": inits,
        "containers": regular,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": draw(st.sampled_from([0, 5, 30])),
    }
    if draw(st.integers(0, 5)) == 0:
        spec["activeDeadlineSeconds"] = draw(st.sampled_from([1, 100, 1000]))
    metadata = {"name": "p", "namespace": "ns", "uid": UID, "generation": 1}
    return {"metadata": metadata, "spec": spec}


_METHODS = (
    "run_pod_sandbox",
    "create_container",
    "start_container",
    "stop_container",
    "stop_pod_sandbox",
    "remove_container",
    "pod_status",
    "container_status",
    "list_containers",
)
_ANY = st.integers(0, 7)
_events = st.one_of(
    st.tuples(st.just("exit"), _ANY, CODES),
    st.tuples(st.just("exit"), _ANY, CODES),
    st.tuples(st.just("probe"), _ANY, st.booleans(), st.booleans()),
    st.tuples(st.just("fail_call"), st.sampled_from(_METHODS), st.integers(1, 3)),
    st.tuples(st.just("lose_track"), _ANY),
    st.tuples(st.just("lose"), _ANY),
    st.tuples(st.just("reboot")),
    st.tuples(st.just("restart")),
    st.tuples(st.just("ephemeral")),
    st.tuples(st.just("change_image"), _ANY),
    st.tuples(st.just("hook"), st.integers(0, 2), st.booleans()),
    st.tuples(st.just("stop_code"), CODES),
    st.tuples(st.just("deaf"), st.booleans()),
    st.tuples(st.just("fail")),
    st.tuples(st.just("delete"), st.sampled_from([0, 5, 30])),
    st.tuples(st.just("forget")),
)
_lives = st.lists(
    st.tuples(_events, st.sampled_from([0.0, 0.5, 2.0, 15.0, 70.0, 700.0])), max_size=14
)


class _Life:
    """One pod's life, over as many edge processes as it takes."""

    def __init__(self, pod: Json, folder: Path, seed: int) -> None:
        loop = asyncio.get_running_loop()
        self.pod = pod
        self.runtime = MemoryRuntime(now_s=lambda: EPOCH_S + loop.time())
        self.runtime.ends = lambda _: self.has_ended or self._is_ending()
        self.database = MemoryDatabase()
        self.probers, self.hooks = MemoryProbers(), MemoryHooks()
        self.seen: list[Json] = []
        self.has_ended = self.is_forgotten = False
        self._folder, self._seed = folder, seed
        self.edge: MemoryEdge | None = None
        self.gone: list[PodUID] = []

    @property
    def is_gone(self) -> bool:
        """Whether PodManager was told that nothing is left; it keeps a tombstone then."""
        return bool(self.gone)

    def _is_ending(self) -> bool:
        state = self.edge.workers.state(UID) if self.edge is not None else None
        return state is not None and state is not WorkState.SYNC

    def new_edge(self) -> MemoryEdge:
        """Start another process on what the one before left."""
        self.edge = MemoryEdge(
            self.runtime,
            self.database,
            settings=make_pod_settings(self._folder),
            seen=self.seen,
            probers=self.probers,
            hooks=self.hooks,
            seed=self._seed,
            gone=self.gone,
        )
        return self.edge

    def tell(self) -> None:
        """Tell the process what is desired, as PodManager does after a start."""
        assert self.edge is not None
        if self.is_gone:
            return
        if self.is_forgotten:
            self.edge.workers.forget(Pod(self.pod))
        else:
            self.edge.workers.update(Pod(self.pod))

    def happen(self, event: tuple[Any, ...]) -> None:
        """Let one event happen, if it can."""
        name, *arguments = event
        getattr(self, f"_{name}")(*arguments)

    def _exit(self, number: int, exit_code: int) -> None:
        running = self.runtime.running()
        if running:
            self.runtime.exit(running[number % len(running)].id, exit_code)

    def _probe(self, number: int, started: bool, live: bool) -> None:  # an event
        running = self.runtime.running()
        if not running:
            return
        found = running[number % len(running)]
        container = Pod(self.pod).container(found.name)
        assert container is not None
        known = self.probers.view(UID).of(found.name, found.id)
        if _is_on_hold(known):
            return
        if container.probe(ProbeKind.STARTUP) is not None and known.started is not True:
            known = dataclasses.replace(known, started=started)
        elif container.probe(ProbeKind.LIVENESS) is not None:
            known = dataclasses.replace(known, live=live)
        self.probers.results[found.name] = known
        assert self.edge is not None
        self.edge.workers.wake(UID)

    def _fail_call(self, method: str, times: int) -> None:
        self.runtime.failures[method] += times

    def _lose_track(self, number: int) -> None:
        running = self.runtime.running()
        if running:
            self.runtime.lose_track(running[number % len(running)].id)

    def _lose(self, number: int) -> None:
        dead = [
            each.id
            for each in self.runtime.containers.values()
            if each.state is ContainerState.EXITED
        ]
        if dead:
            self.runtime.lose(dead[number % len(dead)])

    def _reboot(self) -> None:
        self.runtime.reboot()

    def _ephemeral(self) -> None:
        spec = dict(self.pod["spec"])
        before = spec.get("ephemeralContainers") or []
        target = {"targetContainerName": "c0"} if len(before) % 2 else {}
        spec["ephemeralContainers"] = [*before, {"name": f"e{len(before)}", "image": "i", **target}]
        self.pod = self.pod | {"spec": spec}
        self.tell()

    def _change_image(self, number: int) -> None:
        spec = dict(self.pod["spec"])
        containers = list(spec["containers"])
        chosen = number % len(containers)
        image = containers[chosen]["image"] + "x"
        containers[chosen] = containers[chosen] | {"image": image}
        self.pod = self.pod | {"spec": spec | {"containers": containers}}
        self.tell()

    def _hook(self, failures: int, hangs: bool) -> None:  # an event
        self.hooks.failures, self.hooks.hangs = failures, hangs

    def _stop_code(self, exit_code: int) -> None:
        self.runtime.stop_exit_code = exit_code

    def _deaf(self, is_deaf: bool) -> None:  # an event
        assert self.edge is not None
        self.edge.is_deaf = is_deaf

    def _fail(self) -> None:
        assert self.edge is not None
        if self.edge.workers.fail(UID, FAILURE):
            self.has_ended = True

    def _delete(self, grace_period_s: int) -> None:
        self.pod = deleted(self.pod, grace_period_s=grace_period_s)
        self.has_ended = True
        self.tell()

    def _forget(self) -> None:
        self.has_ended = self.is_forgotten = True
        self.tell()

    def behave(self) -> None:
        """From now on nothing fails, every probe still made succeeds, and nobody is woken."""
        assert self.edge is not None
        self.runtime.failures.clear()
        self.hooks.failures, self.hooks.hangs = 0, False
        self.edge.is_deaf = True

    def probe_all(self) -> None:
        """Let all probes succeed that are still made."""
        for each in self.runtime.running():
            if _is_on_hold(self.probers.view(UID).of(each.name, each.id)):
                continue
            self.probers.results[each.name] = ContainerProbes(
                container_id=each.id, started=True, live=True
            )


def _is_on_hold(known: ContainerProbes) -> bool:
    """Whether a container failed a probe for good: only its successor is probed again.

    So a failure never turns into a success while a worker acts on it: the container is killed, and
    what waits for its startup probe waits for that of its successor.

    Source: kubernetes pkg/kubelet/prober/worker.go ``doProbe``,
    pkg/kubelet/kuberuntime/kuberuntime_container.go ``computeInitContainerActions``.
    """
    return known.started is False or known.live is False


async def _live(life: _Life, events: list[tuple[tuple[Any, ...], float]]) -> None:
    rest = list(events)
    while True:
        async with life.new_edge().running() as edge:
            life.tell()
            while rest:
                event, pause_s = rest.pop(0)
                if event[0] == "restart":
                    break
                life.happen(event)
                await asyncio.sleep(pause_s)
            else:
                await _settle(life, edge)
                return


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    """What is to be done with a pod at one moment.

    Attributes:
        starts: Containers to start, with the id of the one that each replaces.
        kills: Containers to kill.
        resets: Containers to remove so that all start anew.
        sandboxes: Sandboxes to stop.
    """

    starts: dict[str, ContainerID | None]
    kills: frozenset[ContainerID]
    resets: frozenset[ContainerID]
    sandboxes: frozenset[SandboxID]


async def _due(life: _Life, edge: MemoryEdge) -> _Due:
    pod, status = Pod(life.pod), await life.runtime.pod_status(UID)
    actions = compute_pod_actions(
        pod,
        status,
        records=edge.records.containers(UID),
        probes=life.probers.view(UID),
        now_s=life.runtime.now_s(),
        restarting=restarts_all(pod, status, life.seen[-1] if life.seen else {}),
    )
    starts = [each.name for each in actions.start if not _lacks_target(pod, status, each.name)]
    return _Due(
        starts={name: _latest_id(status, name) for name in starts},
        kills=frozenset(each.id for each in actions.kill),
        resets=frozenset(each.id for each in actions.reset),
        sandboxes=frozenset(each.id for each in status.sandboxes if actions.kill_pod),
    )


def _latest_id(status: PodRuntimeStatus, name: str) -> ContainerID | None:
    latest = status.latest(name)
    return latest.id if latest is not None else None


async def _check_acted_on(due: _Due, life: _Life) -> None:
    """Check that nothing of what was to be done one resync ago is as it was then."""
    status = await life.runtime.pod_status(UID)
    waiting = [name for name, before in due.starts.items() if _latest_id(status, name) == before]
    assert not waiting, "not started within one resync"
    running = {each.id for each in life.runtime.running()}
    assert not due.kills & running, "not killed within one resync"
    assert not due.resets & {*life.runtime.containers}, "not reset within one resync"
    ready = {each.id for each in status.ready_sandboxes}
    assert not due.sandboxes & ready, "not stopped within one resync"


async def _settle(life: _Life, edge: MemoryEdge) -> None:
    """Check that a pod is acted on within one resync, and that all comes to rest."""
    life.behave()
    life.probe_all()
    due = await _due(life, edge)
    await asyncio.sleep(ONE_RESYNC_S)
    is_unwanted = life.is_forgotten or Pod(life.pod).is_deleted
    if life.has_ended and is_unwanted:
        _check_nothing_left(life)
        return
    if life.has_ended:
        assert edge.workers.state(UID) is WorkState.TERMINATED
    if edge.workers.state(UID) is WorkState.SYNC:
        await _check_acted_on(due, life)
    for _ in range(11):
        life.probe_all()
        await asyncio.sleep(ONE_RESYNC_S)
    if edge.workers.state(UID) is WorkState.TERMINATED:
        assert not life.runtime.running()
        assert life.seen[-1]["phase"] in TERMINAL
        return
    assert edge.workers.state(UID) is WorkState.SYNC
    left = await _due(life, edge)
    assert left == _Due(starts={}, kills=frozenset(), resets=frozenset(), sandboxes=frozenset())


def _check_nothing_left(life: _Life) -> None:
    assert life.gone == [UID], "not gone within one resync"
    assert not life.runtime.containers
    assert not life.runtime.sandboxes


def _lacks_target(pod: Pod, status: PodRuntimeStatus, name: str) -> bool:
    """Whether it is to see the processes of a container that is not there yet: tried for ever."""
    container = pod.container(name)
    target = container.target_container_name if container is not None else ""
    return bool(target) and status.latest(target) is None


def _check(life: _Life) -> None:
    assert life.runtime.violations == []
    phase = ""
    counts: dict[str, int] = {}
    for status in life.seen:
        if phase in TERMINAL:
            assert status["phase"] == phase, "a terminal phase changed"
        phase = status["phase"]
        for kind in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
            for each in status.get(kind) or ():
                count = int(each["restartCount"])
                assert count >= counts.get(each["name"], 0), f"count of {each['name']} fell"
                counts[each["name"]] = count


def _run_virtually(main: Callable[[], Any]) -> None:
    """Run a coroutine in virtual time, with threads' work done at once."""

    async def at_once(function: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:  # noqa: ANN401
        return function(*args, **kwargs)

    with (
        mock.patch.object(asyncio, "to_thread", at_once),
        asyncio.Runner(loop_factory=looptime.new_event_loop) as runner,
    ):
        runner.run(main())


# A container that was started and could not be looked at.
_UNSEEN = {
    "metadata": {"name": "p", "namespace": "ns", "uid": UID, "generation": 1},
    "spec": {
        "restartPolicy": "Always",
        "containers": [
            {
                "name": "c0",
                "image": "i",
                "lifecycle": {"postStart": {"exec": {"command": ["true"]}}},
            }
        ],
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
    },
}

# One whose end nobody tells: only the resync is left to see it.
_PLAIN = {
    "metadata": {"name": "p", "namespace": "ns", "uid": UID, "generation": 1},
    "spec": {
        "restartPolicy": "Always",
        "containers": [{"name": "c0", "image": "i"}],
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
    },
}

# One container's end restarts all of them, and what removes them fails half way.
_WHOLE: Json = {
    "metadata": {"name": "p", "namespace": "ns", "uid": UID, "generation": 1},
    "spec": {
        "restartPolicy": "Never",
        "initContainers": [{"name": "i0", "image": "i"}],
        "containers": [
            {
                "name": "c0",
                "image": "i",
                "restartPolicy": "Never",
                "restartPolicyRules": [
                    {
                        "action": "RestartAllContainers",
                        "exitCodes": {"operator": "In", "values": [42]},
                    }
                ],
            },
            {"name": "c1", "image": "i"},
        ],
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
    },
}
_WHOLE_LIFE: list[tuple[tuple[Any, ...], float]] = [
    (("exit", 0, 0), 2.0),
    (("fail_call", "remove_container", 2), 0.0),
    (("exit", 0, 42), 0.5),
    (("restart",), 0.0),
    (("lose", 0), 2.0),
    (("reboot",), 15.0),
    (("exit", 0, 0), 2.0),
    (("exit", 0, 42), 0.0),
]


# A startup probe fails while what comes after its sidecar waits for that probe.
_UNSTARTED: Json = {
    "metadata": {"name": "p", "namespace": "ns", "uid": UID, "generation": 1},
    "spec": {
        "restartPolicy": "Always",
        "initContainers": [
            {"name": "i0", "image": "i", "restartPolicy": "Always", "startupProbe": _PROBE},
            {"name": "i1", "image": "i"},
        ],
        "containers": [{"name": "c0", "image": "i"}],
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 0,
    },
}
_UNSTARTED_LIFE: list[tuple[tuple[Any, ...], float]] = [
    (("exit", 0, 0), 70.0),
    (("probe", 0, False, False), 0.0),
]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pod=_pods(), events=_lives, seed=st.integers(0, 1000))
@example(pod=_PLAIN, events=[(("deaf", True), 15.0), (("exit", 0, 1), 0.0)], seed=0)
@example(pod=_WHOLE, events=_WHOLE_LIFE, seed=0)
@example(pod=_UNSTARTED, events=_UNSTARTED_LIFE, seed=0)
@example(pod=_UNSEEN, events=[(("fail_call", "container_status", 1), 15.0)], seed=0)
def test_any_life_of_any_pod_keeps_the_laws(
    pod: Json, events: list[tuple[tuple[Any, ...], float]], seed: int
) -> None:
    """However it is thrown about, and whatever its containers do."""

    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            life = _Life(pod, Path(folder), seed)
            try:
                await _live(life, events)
            finally:
                life.database.connection.close()
            _check(life)

    _run_virtually(main)
