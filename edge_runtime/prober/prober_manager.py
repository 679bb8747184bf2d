"""The probes of all pods.

Source: kubernetes pkg/kubelet/prober/prober_manager.go.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.objects.container import ProbeKind
from edge_runtime.objects.pod import parse_time
from edge_runtime.objects.probe_results import ContainerProbes
from edge_runtime.prober.probe_worker import ProbeWorker
from edge_runtime.prober.results import ProbeResults
from edge_runtime.prober.thresholds import (
    ProbedContainer,
    ProbeSpec,
    api_container_id,
    container_status,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from edge_runtime.objects.container import Container, Json
    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.probe_results import ProbeView
    from edge_runtime.prober.probe_worker import Statuses
    from edge_runtime.prober.prober import ProbeOutcome, ProbeTarget

# A container older than this process by so much was probed by the one before.
# Source: kubernetes pkg/kubelet/prober/prober_manager.go ``kubeletRestartGracePeriod``.
RESTART_GRACE_S = 10.0

_Key = tuple[str, ProbeKind]


@dataclass(slots=True)
class _Running:
    """A worker, and its task once there is one."""

    worker: ProbeWorker
    task: asyncio.Task[None] | None = None


class ProberManager:
    """Runs a task for each probe of each pod, and knows the verdicts."""

    def __init__(
        self,
        *,
        probe: Callable[[ProbeTarget], Awaitable[ProbeOutcome | None]],
        statuses: Statuses,
        on_result: Callable[[PodUID], None],
        now: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        forgotten: Callable[[PodUID], None] = lambda _uid: None,
    ) -> None:
        """Prepare; nothing is asked before `run`.

        Args:
            probe: Asks once (prober.py); returns None when nothing came of it.
            statuses: The newest statuses of pods.
            on_result: Told that a verdict on a pod's container changed; must not wait.
            now: Seconds since the epoch.
            rng: Spreads the first probes after a start.
            forgotten: Told of a pod that is not asked any more; must not wait.
        """
        self._forgotten = forgotten
        self._probe = probe
        self._statuses = statuses
        self._on_result = on_result
        self._now = now
        self._rng = rng or random.Random()  # noqa: S311  # spreads probes, guards nothing
        self._started_at_s = now()
        self._results = ProbeResults()
        self._pods: dict[PodUID, dict[_Key, _Running]] = {}
        self._group: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Probe until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for workers in self._pods.values():
                    for each in workers.values():
                        self._start(each)
                # A group without tasks would end at once.
                await asyncio.Event().wait()
        finally:
            self._group = None

    def add_pod(self, pod: Pod) -> None:
        """Probe a pod's containers from now on; may be called again, with a newer pod."""
        known = self._pods.get(pod.uid)
        if known is not None:
            for each in known.values():
                each.worker.pod = pod
            return
        probes = [(container, spec) for container in _probed(pod) for spec in _specs(container)]
        workers = {
            (container.name, spec.kind): _Running(self._worker(pod, container, spec))
            for container, spec in probes
        }
        self._pods[pod.uid] = workers
        self._seed(pod, {container.name: container for container, _ in probes})
        if self._group is not None:
            for each in workers.values():
                self._start(each)

    def stop_liveness(self, uid: PodUID) -> None:
        """Stop liveness and startup probes, as a pod ends; readiness goes on.

        A container that had not started counts as started from now on, so that its readiness is
        asked.

        Source: kubernetes pkg/kubelet/prober/prober_manager.go ``StopLivenessAndStartup``,
        worker.go ``doProbe`` ("graceful shutdown of the pod").
        """
        workers = self._pods.get(uid, {})
        for key, each in list(workers.items()):
            _, kind = key
            if kind is not ProbeKind.READINESS:
                _stop(each)
                del workers[key]
            if kind is ProbeKind.STARTUP:
                self._set_started(uid, each.worker.container.name)

    def remove_pod(self, uid: PodUID) -> None:
        """Stop all probes of a pod and forget what they found."""
        for each in self._pods.pop(uid, {}).values():
            _stop(each)
        self._results.remove(uid)
        self._forgotten(uid)

    def view(self, uid: PodUID) -> ProbeView:
        """Return the verdicts on a pod's containers."""
        return self._results.view(uid)

    def trigger_readiness(self, uid: PodUID) -> None:
        """Ask containers that run and are not known to be ready now, not at their next tick.

        Call it after the pod's status was computed.

        Source: kubernetes pkg/kubelet/prober/prober_manager.go ``UpdatePodStatus``.
        """
        status = self._statuses.get(uid)
        if status is None:
            return
        for (name, kind), each in self._pods.get(uid, {}).items():
            if kind is not ProbeKind.READINESS:
                continue
            container = ProbedContainer.find(status, name)
            if container is None or container.running_since_s is None:
                continue
            known = self._results.of(uid, name, container.id)
            has_startup_probe = each.worker.container.probe(ProbeKind.STARTUP) is not None
            if known.ready is not True and (known.started is True or not has_startup_probe):
                each.worker.trigger()

    def _worker(self, pod: Pod, container: Container, spec: ProbeSpec) -> ProbeWorker:
        return ProbeWorker(
            pod,
            container,
            spec,
            probe=self._probe,
            statuses=self._statuses,
            results=self._results,
            on_result=self._on_result,
            now=self._now,
        )

    def _start(self, running: _Running) -> None:
        if self._group is None:
            raise AssertionError("probes run only within run()")
        period_s = running.worker.period_s
        # After a start all pods come at once: their probes are spread over one period.
        is_new = self._now() - self._started_at_s < period_s
        first_in_s = self._rng.random() * period_s if is_new else 0.0
        running.task = self._group.create_task(running.worker.run(first_in_s=first_in_s))

    def _seed(self, pod: Pod, containers: dict[str, Container]) -> None:
        """Take over what the process before found, so that no pod turns unready by a restart."""
        status = self._statuses.get(pod.uid) or {}
        for name, container in containers.items():
            shown = container_status(status, name)
            if shown is None or not self._is_older_than_us(shown):
                continue
            known = ContainerProbes(
                container_id=api_container_id(shown),
                started=_true_or_none(container, ProbeKind.STARTUP, shown.get("started")),
                ready=_true_or_none(container, ProbeKind.READINESS, shown.get("ready")),
            )
            self._results.seed(pod.uid, name, known)

    def _is_older_than_us(self, shown: Json) -> bool:
        started_at = ((shown.get("state") or {}).get("running") or {}).get("startedAt")
        if not started_at:
            return False
        started_at_s = parse_time(str(started_at)).timestamp()
        return started_at_s < self._started_at_s - RESTART_GRACE_S

    def _set_started(self, uid: PodUID, name: str) -> None:
        container = ProbedContainer.find(self._statuses.get(uid) or {}, name)
        if container is None:
            return
        self._results.see(uid, name, container.id)
        if self._results.set(uid, name, container.id, ProbeKind.STARTUP, verdict=True):
            self._on_result(uid)


def _probed(pod: Pod) -> Iterator[Container]:
    """Yield the containers that the API lets have probes: regular ones and sidecars."""
    yield from pod.containers
    yield from pod.sidecars


def _specs(container: Container) -> Iterator[ProbeSpec]:
    for kind in (ProbeKind.STARTUP, ProbeKind.READINESS, ProbeKind.LIVENESS):
        raw = container.probe(kind)
        if raw is not None:
            yield ProbeSpec.parse(kind, raw)


def _true_or_none(container: Container, kind: ProbeKind, shown: object) -> bool | None:
    return True if container.probe(kind) is not None and shown is True else None


def _stop(running: _Running) -> None:
    if running.task is not None:
        running.task.cancel()
