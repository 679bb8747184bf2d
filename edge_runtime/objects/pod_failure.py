"""Why a pod is ended although its containers might go on; pure.

One way for all who end pods: admission and the policy of the edge (the pod never starts), the
active deadline, eviction and preemption (it is stopped).

Source: kubernetes pkg/kubelet/pod_workers.go ``KillPodOptions``, pkg/kubelet/kubelet.go
``rejectPod``.
"""

from __future__ import annotations

from dataclasses import dataclass

# What status.message says before why a pod is rejected; its event says only why.
REJECTED = "Pod was rejected: "


@dataclass(frozen=True, slots=True, kw_only=True)
class PodFailure:
    """Ends a pod in phase Failed.

    Attributes:
        reason: ``status.reason``: Evicted, DeadlineExceeded, NodeAffinity, …
        message: ``status.message``, as it is shown.
        grace_period_s: What its containers get to end; None for the pod's own grace period.
        is_disruption: The pod did nothing wrong: the condition DisruptionTarget says so.
    """

    reason: str
    message: str
    grace_period_s: int | None = None
    is_disruption: bool = False
