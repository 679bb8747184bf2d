"""Ask one question of one container, again and again.

Source: kubernetes pkg/kubelet/prober/worker.go.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from edge_runtime.objects.container import ProbeKind
from edge_runtime.prober.prober import ProbeTarget
from edge_runtime.prober.thresholds import (
    TERMINAL_PHASES,
    ProbedContainer,
    ProbeSpec,
    Progress,
    Ticker,
    is_due,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edge_runtime.objects.container import Container, ContainerID, Json
    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.prober.prober import ProbeOutcome
    from edge_runtime.prober.results import ProbeResults

logger = logging.getLogger(__name__)


class Statuses(Protocol):
    """The newest statuses of pods (status/status_manager.py)."""

    def get(self, uid: PodUID) -> Json | None:
        """Return a pod's newest status."""
        ...


class ProbeWorker:
    """One probe of one container; runs in a task of its own.

    Attributes:
        pod: The newest pod; its owner may replace it.
    """

    def __init__(
        self,
        pod: Pod,
        container: Container,
        spec: ProbeSpec,
        *,
        probe: Callable[[ProbeTarget], Awaitable[ProbeOutcome | None]],
        statuses: Statuses,
        results: ProbeResults,
        on_result: Callable[[PodUID], None],
        now: Callable[[], float],
    ) -> None:
        """Prepare.

        Args:
            pod: The pod.
            container: One of its containers.
            spec: One of its probes.
            probe: Asks once; returns None when nothing came of it.
            statuses: Which attempt there is, and whether it runs.
            results: Where verdicts go.
            on_result: Told that a verdict changed; must not wait.
            now: Seconds since the epoch.
        """
        self.pod = pod
        self._container = container
        self._spec = spec
        self._probe = probe
        self._statuses = statuses
        self._results = results
        self._on_result = on_result
        self._now = now
        self._progress = Progress()
        self._triggered = asyncio.Event()

    @property
    def kind(self) -> ProbeKind:
        """Which question it asks."""
        return self._spec.kind

    @property
    def container(self) -> Container:
        """Whom it asks."""
        return self._container

    @property
    def period_s(self) -> int:
        """From one attempt to the next."""
        return self._spec.period_s

    def trigger(self) -> None:
        """Ask now instead of at the next tick."""
        self._triggered.set()

    async def run(self, *, first_in_s: float) -> None:
        """Ask until the pod ended or this is cancelled; an attempt under way is given up then.

        Args:
            first_in_s: When to ask first.
        """
        await asyncio.sleep(first_in_s)
        loop = asyncio.get_running_loop()
        ticker = Ticker.starting(period_s=self._spec.period_s, now_s=loop.time())
        while await self._ask_safely():
            if await self._is_triggered_before(ticker.due_s):
                ticker.reset(loop.time())
            else:
                ticker.ticked(loop.time())

    async def _is_triggered_before(self, due_s: float) -> bool:
        try:
            async with asyncio.timeout_at(due_s):
                await self._triggered.wait()
        except TimeoutError:
            return False
        self._triggered.clear()
        return True

    async def _ask_safely(self) -> bool:
        try:
            return await self._ask()
        except Exception:
            # Perhaps a bug of ours: it must not end what is asked of other containers.
            logger.exception(
                "a probe failed",
                extra={"pod_uid": self.pod.uid, "container_name": self._container.name},
            )
            return True

    async def _ask(self) -> bool:
        """Ask if it is time to; return whether ever to ask again."""
        uid, name = self.pod.uid, self._container.name
        status = self._statuses.get(uid)
        if status is None:
            return True
        if status.get("phase") in TERMINAL_PHASES:
            return False
        container = ProbedContainer.find(status, name)
        if container is None:
            return True
        self._results.see(uid, name, container.id)
        self._progress = self._progress.seeing(container.id)
        is_started = self._is_started(container.id)
        now_s = self._now()
        if is_due(self._spec, self._progress, container, is_started=is_started, now_s=now_s):
            await self._ask_now(container.id, pod_ip=str(status.get("podIP") or ""))
        return True

    async def _ask_now(self, container_id: ContainerID, *, pod_ip: str) -> None:
        uid, name = self.pod.uid, self._container.name
        outcome = await self._probe(
            ProbeTarget(
                pod=self.pod,
                container=self._container,
                spec=self._spec,
                container_id=container_id,
                pod_ip=pod_ip,
            )
        )
        if outcome is None:
            return
        self._progress = self._progress.after(answer=outcome.is_success, spec=self._spec)
        verdict = self._progress.verdict
        if verdict is None:
            return
        is_new = self._results.set(
            uid, name, container_id, self._spec.kind, verdict=verdict, failure=outcome.message
        )
        # That a container still lives changes nothing that anybody sees.
        if is_new and not (self._spec.kind is ProbeKind.LIVENESS and verdict):
            self._on_result(uid)

    def _is_started(self, container_id: ContainerID) -> bool:
        if self._container.probe(ProbeKind.STARTUP) is None:
            return True
        known = self._results.of(self.pod.uid, self._container.name, container_id)
        return known.started is True
