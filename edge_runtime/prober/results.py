"""The newest verdicts of all probes.

Source: kubernetes pkg/kubelet/prober/results/results_manager.go.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, assert_never

from edge_runtime.objects.container import ProbeKind
from edge_runtime.objects.probe_results import NO_PROBES, ContainerProbes, ProbeView

if TYPE_CHECKING:
    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import PodUID


class ProbeResults:
    """Verdicts by pod and container; those on an attempt vanish when the next one is seen."""

    def __init__(self) -> None:
        self._pods: dict[PodUID, dict[str, ContainerProbes]] = {}

    def view(self, uid: PodUID) -> ProbeView:
        """Return what is known of a pod's containers now."""
        found = self._pods.get(uid)
        return ProbeView(containers=dict(found)) if found else NO_PROBES

    def of(self, uid: PodUID, name: str, container_id: ContainerID) -> ContainerProbes:
        """Return what is known of one attempt."""
        found = self._pods.get(uid, {}).get(name)
        if found is None or found.container_id != container_id:
            return ContainerProbes(container_id=container_id)
        return found

    def seed(self, uid: PodUID, name: str, known: ContainerProbes) -> None:
        """Take what an earlier process found, unless this one found something of the attempt."""
        containers = self._pods.setdefault(uid, {})
        old = containers.get(name)
        if old is None or old.container_id != known.container_id:
            containers[name] = known

    def see(self, uid: PodUID, name: str, container_id: ContainerID) -> None:
        """Note which attempt is asked now; what was found of another one is dropped."""
        self.seed(uid, name, ContainerProbes(container_id=container_id))

    def set(
        self,
        uid: PodUID,
        name: str,
        container_id: ContainerID,
        kind: ProbeKind,
        *,
        verdict: bool,
        failure: str = "",
    ) -> bool:
        """Take a verdict; return whether it says anything new.

        One on an attempt that was replaced meanwhile says nothing.
        """
        old = self._pods.get(uid, {}).get(name)
        if old is None or old.container_id != container_id:
            return False
        new = _changed(old, kind, verdict=verdict, failure=failure)
        self._pods[uid][name] = new
        return (old.started, old.live, old.ready) != (new.started, new.live, new.ready)

    def remove(self, uid: PodUID) -> None:
        """Forget a pod."""
        self._pods.pop(uid, None)


def _changed(
    old: ContainerProbes, kind: ProbeKind, *, verdict: bool, failure: str
) -> ContainerProbes:
    match kind:
        case ProbeKind.STARTUP:
            return replace(old, started=verdict, failure=old.failure if verdict else failure)
        case ProbeKind.LIVENESS:
            return replace(old, live=verdict, failure=old.failure if verdict else failure)
        case ProbeKind.READINESS:
            return replace(old, ready=verdict)
        case _:
            assert_never(kind)
