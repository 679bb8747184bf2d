"""Which init containers and sidecars start, and whether the pod is initialised; pure.

Init containers run one at a time, in the order of the spec. A sidecar (a restartable init
container) lets the next one start once it is started, and is kept running from then on.

Only containers of the newest sandbox count: what was initialised in a lost one has to be again.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go
``computeInitContainerActions``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edge_runtime.objects.container import ProbeKind
from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.pod_actions.container_kills import (
    ContainerKill,
    kill_changed,
    kill_resized,
    kill_unknown,
    kill_unlive,
    kill_unstarted,
)
from edge_runtime.pod_actions.restart_policy import restarts_after, restarts_killed

if TYPE_CHECKING:
    from collections.abc import Collection

    from edge_runtime.objects.container import Container, ContainerID
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.probe_results import ProbeView
    from edge_runtime.objects.runtime_status import ContainerStatus, PodRuntimeStatus


# States of a regular container that prove that initialisation is over. One that ended does not:
# while all of them are down, sidecars come back before them.
_IS_THERE = {ContainerState.CREATED, ContainerState.RUNNING}


@dataclass(frozen=True, slots=True, kw_only=True)
class InitActions:
    """What to do with the init containers.

    Attributes:
        start: Which to start, in the order of the spec.
        kill: Which to kill first.
        is_initialized: The regular containers may run.
        has_failed: One failed for good, and with it the pod.
    """

    start: tuple[Container, ...] = ()
    kill: tuple[ContainerKill, ...] = ()
    is_initialized: bool = False
    has_failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Verdict:
    """What one init container's state means.

    Attributes:
        starts: It is started.
        kill: It is killed before.
        is_done: It lets the next one start.
        has_failed: It failed for good.
    """

    starts: bool = False
    kill: ContainerKill | None = None
    is_done: bool = False
    has_failed: bool = False


def compute_init_actions(
    pod: Pod,
    status: PodRuntimeStatus,
    *,
    probes: ProbeView,
    resized: Collection[ContainerID] = (),
) -> InitActions:
    """Decide what to do with the init containers of a pod whose sandbox is ready.

    The newest one that was there decides how far initialisation got, since the runtime may have
    lost those before it.

    Args:
        pod: The pod.
        status: What the runtime has of it.
        probes: What the probes of its containers found.
        resized: Running sidecars that get their new size only by starting anew.
    """
    inits = pod.init_containers
    if not inits:
        return InitActions(is_initialized=True)
    regular = [_latest(status, each.name) for each in pod.containers]
    states = {each.state for each in regular if each is not None}
    walk = _Walk(inits=inits, is_reached=bool(states & _IS_THERE))
    for index in reversed(range(len(inits))):
        latest = _latest(status, inits[index].name)
        if latest is None:
            walk.pass_missing(index)
        elif not walk.is_reached or inits[index].is_sidecar:
            verdict = _verdict(pod, inits[index], latest, probes, resized)
            if verdict.has_failed:
                return InitActions(has_failed=True)
            walk.take(index, verdict)
    walk.end(has_run=ContainerState.EXITED in states)
    return InitActions(
        start=tuple(inits[index] for index in sorted(walk.starts)),
        kill=tuple(walk.kills),
        is_initialized=walk.is_initialized,
    )


@dataclass(slots=True, kw_only=True)
class _Walk:
    """The way back through the init containers, last to first.

    Attributes:
        is_reached: Something after the current one was there, so all before it are done.
    """

    inits: tuple[Container, ...]
    is_reached: bool
    is_initialized: bool = field(init=False)
    starts: set[int] = field(default_factory=set)
    kills: list[ContainerKill] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.is_initialized = self.is_reached

    def pass_missing(self, index: int) -> None:
        """Pass a container that the runtime does not have: not yet, or not any more."""
        if self.is_reached and self.inits[index].is_sidecar:
            self.starts.add(index)

    def take(self, index: int, verdict: _Verdict) -> None:
        """Take what the state of a container means."""
        if verdict.starts:
            self.starts.add(index)
        if verdict.kill is not None:
            self.kills.append(verdict.kill)
        if verdict.is_done and index == len(self.inits) - 1:
            self.is_initialized = True
        elif verdict.is_done and not self.is_reached:
            self.starts.add(index + 1)
        self.is_reached = True

    def end(self, *, has_run: bool) -> None:
        """Begin with the first one if none was there, unless regular containers ran already."""
        if self.is_reached:
            return
        if has_run:
            # The runtime lost all of them: nothing is initialised twice.
            self.starts = {index for index, each in enumerate(self.inits) if each.is_sidecar}
            self.is_initialized = True
        else:
            self.starts.add(0)


def _latest(status: PodRuntimeStatus, name: str) -> ContainerStatus | None:
    """Return the newest attempt of a container in the newest sandbox."""
    newest = status.sandbox
    if newest is None:
        return None
    return next(
        (each for each in status.containers_named(name) if each.sandbox_id in ("", newest.id)), None
    )


def _verdict(
    pod: Pod,
    container: Container,
    latest: ContainerStatus,
    probes: ProbeView,
    resized: Collection[ContainerID],
) -> _Verdict:
    match latest.state:
        case ContainerState.CREATED:
            # It is created and started in one step: the runtime could not start it.
            return _Verdict(starts=True)
        case ContainerState.RUNNING if container.is_sidecar:
            return _running_sidecar(container, latest, probes, resized)
        case ContainerState.RUNNING:
            return _Verdict()
        case ContainerState.EXITED if container.is_sidecar:
            return _Verdict(starts=True)
        case ContainerState.EXITED if not _has_failed(latest):
            return _Verdict(is_done=True)
        case ContainerState.EXITED:
            restarts = restarts_after(pod, container, latest.exit_code)
            return _Verdict(starts=restarts, has_failed=not restarts)
        case _ if container.is_sidecar or restarts_killed(pod, container):
            return _Verdict(starts=True, kill=kill_unknown(container, latest))
        case _:
            return _Verdict(has_failed=True)


def _running_sidecar(
    container: Container,
    latest: ContainerStatus,
    probes: ProbeView,
    resized: Collection[ContainerID],
) -> _Verdict:
    if container.probe(ProbeKind.STARTUP) is not None:
        unstarted = kill_unstarted(container, latest, probes)
        if unstarted is not None:
            return _Verdict(starts=True, kill=unstarted)
        if probes.of(container.name, latest.id).started is None:
            return _Verdict()
    # Whether it is alive says nothing of whether the next one may start.
    done = _Verdict(is_done=True)
    kill = (
        kill_changed(container, latest)
        or kill_unlive(container, latest, probes)
        or kill_resized(container, latest, resized)
    )
    return done if kill is None else replace(done, starts=True, kill=kill)


def _has_failed(latest: ContainerStatus) -> bool:
    return latest.exit_code != 0 or latest.reason == "OOMKilled"
