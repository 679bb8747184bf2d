"""The twelve pods, and when each has shown what it is there for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable

Json = dict[str, Any]
MANIFESTS = Path(__file__).parent / "manifests"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One manifest.

    Attributes:
        name: Of its file and its pod.
        is_settled: Tells from the pod whether it has come to where it is compared as a whole, and
            is deleted: something that lasts for seconds under a kubelet.
    """

    name: str
    is_settled: Callable[[Json], bool]

    def pod(self, *, namespace: str, node: str) -> Json:
        """Return the pod for one node.

        What both nodes give to all pods and this comparison is not about is switched off.
        """
        document: Json = yaml.safe_load((MANIFESTS / f"{self.name}.yaml").read_text())
        document["metadata"]["namespace"] = namespace
        document["spec"] |= {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "tolerations": [{"operator": "Exists", "effect": "NoSchedule"}],
        }
        return document


def _phase(wanted: str) -> Callable[[Json], bool]:
    """Wait for a phase with every container's end told."""

    def settled(pod: Json) -> bool:
        statuses = _statuses(pod)
        ended = all("terminated" in one.get("state", {}) for one in statuses)
        return pod["status"].get("phase") == wanted and bool(statuses) and ended

    return settled


def _waiting(reason: str, *, restarts: int = 0) -> Callable[[Json], bool]:
    """Wait for a container that waits for a reason after at least so many restarts."""

    def settled(pod: Json) -> bool:
        return any(
            one["state"].get("waiting", {}).get("reason") == reason
            and one["restartCount"] >= restarts
            for one in _statuses(pod)
        )

    return settled


def _running(pod: Json) -> bool:
    statuses = _statuses(pod)
    return bool(statuses) and all("running" in one["state"] for one in statuses)


def _statuses(pod: Json) -> list[Json]:
    found: list[Json] = pod.get("status", {}).get("containerStatuses", [])
    return found


CASES = (
    Case(name="init-and-sidecar", is_settled=_phase("Succeeded")),
    Case(name="failing-liveness", is_settled=_waiting("CrashLoopBackOff", restarts=1)),
    Case(name="failing-readiness", is_settled=_running),
    Case(name="crash-loop", is_settled=_waiting("CrashLoopBackOff", restarts=2)),
    Case(name="out-of-memory", is_settled=_phase("Failed")),
    Case(name="bad-image", is_settled=_waiting("ImagePullBackOff")),
    Case(name="bad-command", is_settled=_waiting("CrashLoopBackOff", restarts=1)),
    Case(name="run-as-non-root", is_settled=_waiting("CreateContainerConfigError")),
    Case(name="pre-stop", is_settled=_running),
    Case(name="deadline", is_settled=_phase("Failed")),
    Case(name="environment", is_settled=_phase("Succeeded")),
    Case(name="missing-configuration", is_settled=_waiting("CreateContainerConfigError")),
)
