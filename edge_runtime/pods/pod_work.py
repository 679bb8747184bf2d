"""Where one pod stands; pure.

A pod only moves forward: once its end began, nothing starts it again, and its grace period only
shrinks.

Source: kubernetes pkg/kubelet/pod_workers.go.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.pod_failure import PodFailure

# Source: kubernetes pkg/kubelet/pod_workers.go ``calculateEffectiveGracePeriod``.
MIN_GRACE_PERIOD_S = 1
# A pod whose object vanished: nobody is left who could ask for more.
FORGOTTEN_GRACE_PERIOD_S = 1


class WorkState(enum.Enum):
    """What the worker of a pod does.

             ┌── all containers ended for good ──┐
             │                                   v
           SYNC ── deleted, forgotten ──> TERMINATING ── nothing runs ──> TERMINATED
                   failed
                                                                              │
                                              deleted or forgotten, nothing is left
                                                                              v
                                                                            GONE

    SYNC makes sandbox and containers as desired. TERMINATING stops them. TERMINATED keeps what is
    left (logs, exit codes) for whoever asks. GONE has nothing left on the machine.
    """

    SYNC = 0
    TERMINATING = 1
    TERMINATED = 2
    GONE = 3


_NEXT = {
    WorkState.SYNC: WorkState.TERMINATING,
    WorkState.TERMINATING: WorkState.TERMINATED,
    WorkState.TERMINATED: WorkState.GONE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PodWork:
    """One pod and where it stands.

    Attributes:
        pod: The newest desired pod.
        is_forgotten: Its object vanished: stop it fast, and tell nobody.
        grace_period_s: What its containers get to end; None before TERMINATING.
        failure: Why it was ended, whatever its containers' exit codes; the first one stays.
    """

    pod: Pod
    state: WorkState = WorkState.SYNC
    is_forgotten: bool = False
    grace_period_s: int | None = None
    failure: PodFailure | None = None

    @property
    def is_unwanted(self) -> bool:
        """Whether nothing of the pod may remain."""
        return self.is_forgotten or self.pod.is_deleted

    @property
    def is_ending(self) -> bool:
        """Whether its end began: nothing may be started any more."""
        return self.state is not WorkState.SYNC

    def updated(self, pod: Pod) -> PodWork:
        """Take a newer desired pod; a deletion begins its end or shortens it."""
        return _ended_if_unwanted(replace(self, pod=pod))

    def forgotten(self) -> PodWork:
        """Note that the object vanished."""
        return _ended_if_unwanted(replace(self, is_forgotten=True))

    def finished(self) -> PodWork:
        """Begin the end of a pod whose containers all ended for good."""
        return _terminating(self, self.pod.termination_grace_period_s)

    def failed(self, failure: PodFailure) -> PodWork:
        """Begin or hasten the end of a pod that may not go on; too late once nothing runs."""
        if self.state not in (WorkState.SYNC, WorkState.TERMINATING):
            return self
        given_s = failure.grace_period_s
        ended = _terminating(
            self, self.pod.termination_grace_period_s if given_s is None else given_s
        )
        return ended if self.failure is not None else replace(ended, failure=failure)

    def advanced(self, state: WorkState) -> PodWork:
        """Move on by one state.

        Raises:
            AssertionError: The state is not the next one, or the pod is still wanted.
        """
        if _NEXT.get(self.state) is not state:
            raise AssertionError(f"a pod cannot go from {self.state.name} to {state.name}")
        if state is WorkState.GONE and not self.is_unwanted:
            raise AssertionError("a pod that is still wanted cannot be gone")
        return replace(self, state=state)


def _ended_if_unwanted(work: PodWork) -> PodWork:
    if work.is_forgotten:
        return _terminating(work, FORGOTTEN_GRACE_PERIOD_S)
    if work.pod.is_deleted:
        given_s = work.pod.deletion_grace_period_s
        return _terminating(
            work, work.pod.termination_grace_period_s if given_s is None else given_s
        )
    return work


def _terminating(work: PodWork, grace_period_s: int) -> PodWork:
    wanted_s = max(grace_period_s, MIN_GRACE_PERIOD_S)
    if work.grace_period_s is not None:
        wanted_s = min(wanted_s, work.grace_period_s)
    state = WorkState.TERMINATING if work.state is WorkState.SYNC else work.state
    return replace(work, state=state, grace_period_s=wanted_s)
