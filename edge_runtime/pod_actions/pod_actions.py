"""What to do next for a pod: decided here, done by pod_sync; pure.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_manager.go ``computePodActions``,
pkg/kubelet/kuberuntime/util ``PodSandboxChanged``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_runtime.objects.runtime_status import ContainerState, NamespaceMode
from edge_runtime.pod_actions.container_kills import (
    ContainerKill,
    kill_changed,
    kill_resized,
    kill_surplus,
    kill_unknown,
    kill_unlive,
    kill_unstarted,
)
from edge_runtime.pod_actions.container_starts import ContainerBackOff, ContainerStart, StartPlanner
from edge_runtime.pod_actions.in_place_restart import ContainerReset, containers_to_reset
from edge_runtime.pod_actions.init_actions import compute_init_actions
from edge_runtime.pod_actions.restart_policy import (
    NEVER,
    ON_FAILURE,
    all_ended,
    effective_policy,
    restarts_killed,
    should_restart,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from edge_runtime.objects.container import Container, ContainerID
    from edge_runtime.objects.pod import Pod, SandboxID
    from edge_runtime.objects.probe_results import ProbeView
    from edge_runtime.objects.runtime_status import ContainerStatus, PodRuntimeStatus
    from edge_runtime.store.local_pod_state import ContainerRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class PodActions:
    """What to do, in this order.

    Attributes:
        kill_pod: Stop all containers and sandboxes first.
        purge: Containers to remove then: init containers of a sandbox that is replaced.
        create_sandbox: Then make a new sandbox.
        sandbox_id: The sandbox to use, or the one that is replaced; None when there was none.
        sandbox_attempt: Attempt of the sandbox to use or make.
        reset: Containers to remove with their ends, before the pod starts anew in its sandbox.
        kill: Containers to kill while the rest goes on.
        start: Containers to start now, one after the other: ephemeral, init, regular ones.
        back_off: Containers to start later.
        remove: Dead containers that nobody needs any more.
        remove_sandboxes: Stopped sandboxes of which no container is left.
    """

    kill_pod: bool = False
    purge: tuple[ContainerID, ...] = ()
    create_sandbox: bool = False
    sandbox_id: SandboxID | None = None
    sandbox_attempt: int = 0
    reset: tuple[ContainerReset, ...] = ()
    kill: tuple[ContainerKill, ...] = ()
    start: tuple[ContainerStart, ...] = ()
    back_off: tuple[ContainerBackOff, ...] = ()
    remove: tuple[ContainerID, ...] = ()
    remove_sandboxes: tuple[SandboxID, ...] = ()

    @property
    def is_finished(self) -> bool:
        """Whether all containers ended and none will be started again."""
        return self.kill_pod and not self.create_sandbox


def sandbox_changed(pod: Pod, status: PodRuntimeStatus) -> bool:
    """Return whether the pod needs a new sandbox."""
    newest = status.sandbox
    if newest is None or not newest.is_ready or len(status.ready_sandboxes) > 1:
        return True
    wanted = NamespaceMode.NODE if pod.host_network else NamespaceMode.POD
    return newest.network is not wanted or (not pod.host_network and not newest.ips)


def compute_pod_actions(
    pod: Pod,
    status: PodRuntimeStatus,
    *,
    records: Mapping[str, ContainerRecord],
    probes: ProbeView,
    now_s: float,
    resized: Collection[ContainerID] = (),
    restarting: bool = False,
) -> PodActions:
    """Decide what to do for a pod that is to run.

    Args:
        pod: The desired pod.
        status: What the runtime has of it.
        records: What is remembered of its containers, by name.
        probes: What the probes of its containers found.
        now_s: Seconds since the epoch.
        resized: Running containers that get their new size only by starting anew.
        restarting: All containers are to start anew (in_place_restart.py).
    """
    reset = containers_to_reset(pod, status) if restarting else ()
    if reset:
        return _with_reset(pod, status, reset)
    planner = StartPlanner(pod, status, records=records, now_s=now_s)
    if sandbox_changed(pod, status):
        return _with_new_sandbox(pod, status, planner)
    newest = status.sandbox
    same = PodActions(
        sandbox_id=newest.id if newest is not None else None,
        sandbox_attempt=newest.attempt if newest is not None else 0,
    )
    if all_ended(pod, status):
        return replace(same, kill_pod=True)
    inits = compute_init_actions(pod, status, probes=probes, resized=resized)
    regular = _Regular()
    if inits.is_initialized and not inits.has_failed:
        regular = _compute_regular(pod, status, probes, resized)
    is_over = inits.is_initialized and not regular.keeps and not regular.start
    if inits.has_failed or is_over:
        return replace(same, kill_pod=True)
    ephemeral = [
        each
        for each in pod.ephemeral_containers
        # They are never started again, also where the runtime forgot that they ran.
        if status.latest(each.name) is None and each.name not in records
    ]
    surplus = [kill for each in pod.all_containers for kill in kill_surplus(each, status)]
    starts, back_offs = _plan(planner, [*ephemeral, *inits.start, *regular.start])
    return replace(
        same,
        kill=(*surplus, *inits.kill, *regular.kill),
        start=starts,
        back_off=back_offs,
        remove=_superfluous(pod, status),
        remove_sandboxes=_superfluous_sandboxes(status),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Regular:
    """What to do with the regular containers; `keeps` counts those that go on running."""

    keeps: int = 0
    start: tuple[Container, ...] = ()
    kill: tuple[ContainerKill, ...] = ()


def _compute_regular(
    pod: Pod, status: PodRuntimeStatus, probes: ProbeView, resized: Collection[ContainerID]
) -> _Regular:
    starts: list[Container] = []
    kills: list[ContainerKill] = []
    keeps = 0
    for container in pod.containers:
        latest = status.latest(container.name)
        if latest is None or latest.state is not ContainerState.RUNNING:
            if should_restart(pod, container, latest):
                starts.append(container)
                kills += _kill_before_start(container, latest)
            continue
        kill, restarts = _kill_running(pod, container, latest, probes)
        if kill is None:
            # Whatever the policy says of containers that end: it is to run on, with another size.
            kill, restarts = kill_resized(container, latest, resized), True
        if kill is None:
            keeps += 1
            continue
        if restarts:
            starts.append(container)
        kills.append(kill)
    return _Regular(keeps=keeps, start=tuple(starts), kill=tuple(kills))


def _kill_before_start(container: Container, latest: ContainerStatus | None) -> list[ContainerKill]:
    if latest is None or latest.state is not ContainerState.UNKNOWN:
        return []
    return [kill_unknown(container, latest)]


def _kill_running(
    pod: Pod, container: Container, latest: ContainerStatus, probes: ProbeView
) -> tuple[ContainerKill | None, bool]:
    """Return why a running container is killed, if it is, and whether it starts again."""
    kill = kill_changed(container, latest)
    # A changed container starts again whatever the policy: it never ran as it is now.
    restarts = kill is not None or restarts_killed(pod, container)
    kill = (
        kill or kill_unlive(container, latest, probes) or kill_unstarted(container, latest, probes)
    )
    if kill is not None and restarts:
        kill = replace(kill, message=f"{kill.message}, will be restarted")
    return kill, restarts


def _with_reset(
    pod: Pod, status: PodRuntimeStatus, reset: tuple[ContainerReset, ...]
) -> PodActions:
    """Make room for a start from the beginning; in a sandbox that is lost, after a new one."""
    newest = status.sandbox
    is_changed = sandbox_changed(pod, status)
    attempt = newest.attempt if newest is not None else -1
    return PodActions(
        kill_pod=is_changed,
        create_sandbox=is_changed,
        sandbox_id=newest.id if newest is not None else None,
        sandbox_attempt=attempt + is_changed,
        reset=reset,
    )


def _with_new_sandbox(pod: Pod, status: PodRuntimeStatus, planner: StartPlanner) -> PodActions:
    newest = status.sandbox
    attempt = newest.attempt + 1 if newest is not None else 0
    sandbox_id = newest.id if newest is not None else None
    replaced = PodActions(kill_pod=True, sandbox_id=sandbox_id, sandbox_attempt=attempt)
    # The containers may have done half of their work.
    if pod.restart_policy == NEVER and status.containers:
        return replaced
    wanted = [each for each in pod.containers if not _is_done(pod, each, status)]
    is_initialized = any(_is_known(status.latest(each.name)) for each in pod.containers)
    if not wanted and is_initialized:
        return replaced
    inits = pod.init_containers
    starts, back_offs = _plan(planner, inits[:1] or wanted)
    names = {each.name for each in inits}
    purge = tuple(each.id for each in status.containers if each.name in names)
    return replace(
        replaced,
        create_sandbox=True,
        purge=purge,
        start=starts,
        back_off=back_offs,
        remove=_superfluous(pod, status, without=purge),
    )


def _is_done(pod: Pod, container: Container, status: PodRuntimeStatus) -> bool:
    """Whether a container ended well, and is not to run again in a new sandbox."""
    latest = status.latest(container.name)
    is_once = effective_policy(pod, container) == ON_FAILURE
    return (
        is_once
        and latest is not None
        and latest.state is ContainerState.EXITED
        and latest.exit_code == 0
    )


def _is_known(latest: ContainerStatus | None) -> bool:
    return latest is not None and latest.state is not ContainerState.UNKNOWN


def _plan(
    planner: StartPlanner, containers: Iterable[Container]
) -> tuple[tuple[ContainerStart, ...], tuple[ContainerBackOff, ...]]:
    planned = [planner.plan(each) for each in containers]
    return (
        tuple(each for each in planned if isinstance(each, ContainerStart)),
        tuple(each for each in planned if isinstance(each, ContainerBackOff)),
    )


def _superfluous(
    pod: Pod, status: PodRuntimeStatus, *, without: tuple[ContainerID, ...] = ()
) -> tuple[ContainerID, ...]:
    """Return the dead containers but the newest of each name, which `logs --previous` shows."""
    superfluous: list[ContainerID] = []
    for container in pod.all_containers:
        dead = [
            each.id
            for each in status.containers_named(container.name)
            if each.state in (ContainerState.EXITED, ContainerState.CREATED)
            and each.id not in without
        ]
        superfluous += dead[1:]
    return tuple(superfluous)


def _superfluous_sandboxes(status: PodRuntimeStatus) -> tuple[SandboxID, ...]:
    """Return the older sandboxes that hold nothing: removing one removes its containers too."""
    in_use = {each.sandbox_id for each in status.containers}
    return tuple(
        each.id for each in status.sandboxes[1:] if not each.is_ready and each.id not in in_use
    )
