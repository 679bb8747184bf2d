"""When a container is probed, and what the answers add up to; pure.

Source: kubernetes pkg/kubelet/prober/worker.go ``doProbe``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_runtime.objects.container import ContainerID, ProbeKind
from edge_runtime.objects.pod import parse_time

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json

TERMINAL_PHASES = ("Succeeded", "Failed")
_STATUS_LISTS = ("containerStatuses", "initContainerStatuses")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSpec:
    """How one probe is made; numbers of the API, with its defaults.

    Attributes:
        raw: The probe as written, with its handler.
        initial_delay_s: After the container's start.
        period_s: From one attempt to the next.
        timeout_s: Of one attempt.
        success_threshold: So many successes in a row make a success.
        failure_threshold: So many failures in a row make a failure.
    """

    kind: ProbeKind
    raw: Json
    initial_delay_s: int
    period_s: int
    timeout_s: int
    success_threshold: int
    failure_threshold: int

    @classmethod
    def parse(cls, kind: ProbeKind, raw: Json) -> ProbeSpec:
        """Read a probe; the API server fills in all defaults, 0 stands for them too."""
        return cls(
            kind=kind,
            raw=raw,
            initial_delay_s=int(raw.get("initialDelaySeconds") or 0),
            period_s=int(raw.get("periodSeconds") or 10),
            timeout_s=int(raw.get("timeoutSeconds") or 1),
            success_threshold=int(raw.get("successThreshold") or 1),
            failure_threshold=int(raw.get("failureThreshold") or 3),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedContainer:
    """A container as the pod's status shows it.

    Attributes:
        id: The newest attempt.
        running_since_s: Seconds since the epoch; None while it does not run.
    """

    id: ContainerID
    running_since_s: float | None

    @classmethod
    def find(cls, status: Json, name: str) -> ProbedContainer | None:
        """Look a container up in a pod's status; None before its first attempt is there."""
        found = container_status(status, name)
        if found is None or not found.get("containerID"):
            return None
        running = (found.get("state") or {}).get("running")
        since_s = None
        if running is not None:
            started_at = running.get("startedAt")
            since_s = parse_time(str(started_at)).timestamp() if started_at else 0.0
        return cls(id=api_container_id(found), running_since_s=since_s)


def container_status(status: Json, name: str) -> Json | None:
    """Return the status of a regular container or an init container, None without one."""
    for each_list in _STATUS_LISTS:
        for each in status.get(each_list) or ():
            if each["name"] == name:
                found: Json = each
                return found
    return None


def api_container_id(container: Json) -> ContainerID:
    """Return the runtime's id of a container status, without ``containerd://``; "" for none."""
    return ContainerID(str(container.get("containerID") or "").rpartition("//")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What one probe found so far.

          ┌────────────── a new container id ──────────────┐
          v                                                │
       asking ── the same answer `threshold` times ──> verdict
                                                           │
                    startup: any; liveness: a failure      v
                                                        on hold

    On hold nothing is asked until there is a new container: one that will be killed is left in
    peace, one that started is never asked again whether it did.

    Attributes:
        container_id: The attempt that is asked; None before the first.
        verdict: What a threshold made of the answers; None before any was reached.
        last: The last answer.
        run: How often in a row it came. It goes on counting over a restart of the container, as in
            a kubelet: a container that crashed between two failures is killed at the third.
        is_on_hold: Nothing is asked any more.
    """

    container_id: ContainerID | None = None
    verdict: bool | None = None
    last: bool | None = None
    run: int = 0
    is_on_hold: bool = False

    def seeing(self, container_id: ContainerID) -> Progress:
        """Take note of the attempt that is there now."""
        if container_id == self.container_id:
            return self
        return replace(self, container_id=container_id, verdict=None, is_on_hold=False)

    def after(self, *, answer: bool, spec: ProbeSpec) -> Progress:
        """Take an answer: whether the attempt succeeded."""
        run = self.run + 1 if self.last is answer else 1
        threshold = spec.success_threshold if answer else spec.failure_threshold
        if run < threshold:
            return replace(self, last=answer, run=run)
        holds = spec.kind is ProbeKind.STARTUP or (spec.kind is ProbeKind.LIVENESS and not answer)
        return replace(self, verdict=answer, last=answer, run=0 if holds else run, is_on_hold=holds)


def is_due(
    spec: ProbeSpec,
    progress: Progress,
    container: ProbedContainer,
    *,
    is_started: bool,
    now_s: float,
) -> bool:
    """Whether a container is to be asked at this tick.

    Args:
        spec: The probe.
        progress: What it found; it has seen `container`.
        container: What is there.
        is_started: Its startup probe succeeded, or it has none.
        now_s: Seconds since the epoch.
    """
    if progress.is_on_hold or container.running_since_s is None:
        return False
    if int(now_s - container.running_since_s) < spec.initial_delay_s:
        return False
    return is_started is not (spec.kind is ProbeKind.STARTUP)


@dataclass(slots=True)
class Ticker:
    """Ticks at a fixed rhythm; of ticks that were missed one is made up for.

    Source: Go's time.Ticker, whose channel holds one tick.

    Attributes:
        due_s: When the next tick is, on the clock of whoever asks.
    """

    period_s: float
    due_s: float

    @classmethod
    def starting(cls, *, period_s: float, now_s: float) -> Ticker:
        """Start a rhythm whose first tick is one period away."""
        return cls(period_s=period_s, due_s=now_s + period_s)

    def ticked(self, now_s: float) -> None:
        """Note that a tick was taken at `now_s`, which is its due time or later."""
        missed = math.floor((now_s - self.due_s) / self.period_s)
        self.due_s += (max(missed, 0) + 1) * self.period_s

    def reset(self, now_s: float) -> None:
        """Start the rhythm anew."""
        self.due_s = now_s + self.period_s
