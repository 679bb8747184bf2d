"""What to do next for a pod: decided here, done by pod_sync; pure.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_manager.go ``computePodActions``,
pkg/kubelet/kuberuntime/util ``PodSandboxChanged``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.objects.runtime_status import ContainerState, NamespaceMode
from edge_runtime.pods.crash_backoff import (
    CrashBackoff,
    backoff_key,
    backoff_until,
    next_backoff,
)
from edge_runtime.runtime.cri_config import container_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.objects.container import Container, ContainerID
    from edge_runtime.objects.pod import Pod, SandboxID
    from edge_runtime.objects.probe_results import ProbeView
    from edge_runtime.objects.runtime_status import ContainerStatus, PodRuntimeStatus
    from edge_runtime.store.local_pod_state import ContainerRecord

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStart:
    """Start a container.

    Attributes:
        attempt: Its restart count.
        backoff: What to keep if it ends again; None for a first start.
    """

    name: str
    attempt: int
    backoff: CrashBackoff | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerBackOff:
    """Do not start a container before `until_s`, seconds since the epoch."""

    name: str
    delay_s: float
    until_s: float


class KillReason(enum.Enum):
    """Why a container is killed; a probe may bring a grace period of its own.

    Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_manager.go ``containerKillReason``.
    """

    UNKNOWN = "Unknown"
    STARTUP_PROBE = "StartupProbe"
    LIVENESS_PROBE = "LivenessProbe"
    FAILED_POST_START_HOOK = "FailedPostStartHook"
    RESTART_ALL_CONTAINERS = "RestartAllContainers"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerKill:
    """Kill a container; the message says why."""

    id: ContainerID
    name: str
    message: str
    reason: KillReason = KillReason.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class PodActions:
    """What to do, in this order.

    Attributes:
        kill_pod: Stop all containers and sandboxes first.
        create_sandbox: Then make a new sandbox.
        sandbox_id: The sandbox to use, or the one that is replaced; None when there was none.
        sandbox_attempt: Attempt of the sandbox to use or make.
        kill: Containers to kill while the rest goes on.
        start: Containers to start now.
        back_off: Containers to start later.
        remove: Dead containers that nobody needs any more.
        remove_sandboxes: Stopped sandboxes of which no container is left.
    """

    kill_pod: bool = False
    create_sandbox: bool = False
    sandbox_id: SandboxID | None = None
    sandbox_attempt: int = 0
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


def should_restart(pod: Pod, status: ContainerStatus | None) -> bool:
    """Return whether a container that is not running is to be started.

    Source: kubernetes pkg/kubelet/container/helpers.go ``ShouldContainerBeRestarted``.
    """
    if pod.is_deleted:
        return False
    if status is None or status.state in (ContainerState.UNKNOWN, ContainerState.CREATED):
        return True
    if status.state is ContainerState.RUNNING:
        return False
    return pod.restart_policy == "Always" or (
        pod.restart_policy == "OnFailure" and status.exit_code != 0
    )


def compute_pod_actions(
    pod: Pod,
    status: PodRuntimeStatus,
    *,
    records: Mapping[str, ContainerRecord],
    probes: ProbeView,
    now_s: float,
) -> PodActions:
    """Decide what to do for a pod that is to run.

    Args:
        pod: The desired pod.
        status: What the runtime has of it.
        records: What is remembered of its containers, by name.
        probes: What the probes of its containers found.
        now_s: Seconds since the epoch.
    """
    if sandbox_changed(pod, status):
        return _with_new_sandbox(pod, status, records=records, now_s=now_s)
    starts: list[ContainerStart] = []
    back_offs: list[ContainerBackOff] = []
    kills: list[ContainerKill] = []
    kept = 0
    for container in pod.containers:
        latest = status.latest(container.name)
        kills += _surplus(container, status)
        kill = _compute_kill(container, latest)
        if kill is not None:
            kills.append(kill)
        elif latest is not None and latest.state is ContainerState.RUNNING:
            kept += 1
            continue
        elif not should_restart(pod, latest):
            continue
        _plan(container, latest, records.get(container.name), now_s, starts, back_offs)
    newest = status.sandbox
    return PodActions(
        kill_pod=not kept and not starts and not back_offs,
        sandbox_id=newest.id if newest is not None else None,
        sandbox_attempt=newest.attempt if newest is not None else 0,
        kill=tuple(kills),
        start=tuple(starts),
        back_off=tuple(back_offs),
        remove=_superfluous(pod, status),
        remove_sandboxes=_superfluous_sandboxes(status),
    )


def _with_new_sandbox(
    pod: Pod,
    status: PodRuntimeStatus,
    *,
    records: Mapping[str, ContainerRecord],
    now_s: float,
) -> PodActions:
    newest = status.sandbox
    attempt = newest.attempt + 1 if newest is not None else 0
    sandbox_id = newest.id if newest is not None else None
    starts: list[ContainerStart] = []
    back_offs: list[ContainerBackOff] = []
    ran_once = pod.restart_policy == "Never" and bool(status.containers)
    for container in pod.containers:
        latest = status.latest(container.name)
        # A container that runs in the lost sandbox is killed with it, and starts in the new one.
        is_running = latest is not None and latest.state is ContainerState.RUNNING
        if not ran_once and (is_running or should_restart(pod, latest)):
            _plan(container, latest, records.get(container.name), now_s, starts, back_offs)
    is_needed = bool(starts or back_offs)
    return PodActions(
        kill_pod=True,
        create_sandbox=is_needed,
        sandbox_id=sandbox_id,
        sandbox_attempt=attempt,
        start=tuple(starts),
        back_off=tuple(back_offs),
        remove=_superfluous(pod, status) if is_needed else (),
    )


def _surplus(container: Container, status: PodRuntimeStatus) -> list[ContainerKill]:
    """Kill older attempts that run: never two of the same container.

    A start that was under way when edgelet was killed may go through after its successor saw the
    container as merely created, and made another.
    """
    message = f"Container {container.name} runs twice, the older one is stopped"
    return [
        ContainerKill(id=each.id, name=container.name, message=message)
        for each in status.containers_named(container.name)[1:]
        if each.state is ContainerState.RUNNING
    ]


def _compute_kill(container: Container, latest: ContainerStatus | None) -> ContainerKill | None:
    if latest is None:
        return None
    if latest.state is ContainerState.UNKNOWN:
        # Perhaps it runs: never two of the same container.
        message = "Container is in unknown state, try killing it before restart"
        return ContainerKill(id=latest.id, name=container.name, message=message)
    known_hash = latest.container_hash
    is_changed = bool(known_hash) and known_hash != container_hash(container)
    if latest.state is ContainerState.RUNNING and is_changed:
        message = f"Container {container.name} definition changed, will be restarted"
        return ContainerKill(id=latest.id, name=container.name, message=message)
    return None


def _plan(  # the two lists are its results
    container: Container,
    latest: ContainerStatus | None,
    record: ContainerRecord | None,
    now_s: float,
    starts: list[ContainerStart],
    back_offs: list[ContainerBackOff],
) -> None:
    attempt = max(
        latest.restart_count + 1 if latest is not None else 0,
        record.attempt + 1 if record is not None else 0,
    )
    if latest is None or latest.state is not ContainerState.EXITED:
        kept = _kept_backoff(record)
        starts.append(ContainerStart(name=container.name, attempt=attempt, backoff=kept))
        return
    key = backoff_key(container)
    finished_at_s = latest.finished_at_ns / _NS
    old = _kept_backoff(record)
    until_s = backoff_until(old, key=key, finished_at_s=finished_at_s)
    if until_s is not None and until_s > now_s and old is not None:
        back_offs.append(
            ContainerBackOff(name=container.name, delay_s=old.delay_s, until_s=until_s)
        )
        return
    backoff = next_backoff(old, key=key, finished_at_s=finished_at_s, now_s=now_s)
    starts.append(ContainerStart(name=container.name, attempt=attempt, backoff=backoff))


def _kept_backoff(record: ContainerRecord | None) -> CrashBackoff | None:
    if record is None or not record.backoff_key:
        return None
    return CrashBackoff(
        key=record.backoff_key,
        delay_s=record.backoff_s,
        updated_at_s=record.backoff_updated_at_s,
    )


def _superfluous(pod: Pod, status: PodRuntimeStatus) -> tuple[ContainerID, ...]:
    """Return the dead containers but the newest of each name, which `logs --previous` shows."""
    superfluous: list[ContainerID] = []
    for container in pod.containers:
        dead = [
            each.id
            for each in status.containers_named(container.name)
            if each.state in (ContainerState.EXITED, ContainerState.CREATED)
        ]
        superfluous += dead[1:]
    return tuple(superfluous)


def _superfluous_sandboxes(status: PodRuntimeStatus) -> tuple[SandboxID, ...]:
    """Return the older sandboxes that hold nothing: removing one removes its containers too."""
    in_use = {each.sandbox_id for each in status.containers}
    return tuple(
        each.id for each in status.sandboxes[1:] if not each.is_ready and each.id not in in_use
    )
