"""What pods ask of the probes of their containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from edge_runtime.objects.pod import Pod, PodUID
    from edge_runtime.objects.probe_results import ProbeView


class Probers(Protocol):
    """What probes containers (prober/prober_manager.py); no method waits."""

    def add_pod(self, pod: Pod) -> None:
        """Probe the containers of a pod from now on; called at every sync, with the newest pod."""
        ...

    def view(self, uid: PodUID) -> ProbeView:
        """Return what the probes found of a pod's containers."""
        ...

    def trigger_readiness(self, uid: PodUID) -> None:
        """Probe the containers that are not known to be ready now; after a status was computed."""
        ...

    def stop_liveness(self, uid: PodUID) -> None:
        """End liveness and startup probes of a pod that ends; readiness goes on; idempotent."""
        ...

    def remove_pod(self, uid: PodUID) -> None:
        """End all probes of a pod of which nothing runs any more; idempotent."""
        ...
