"""Whether containers have started and are ready, from their states and probes; pure.

Source: kubernetes pkg/kubelet/prober/prober_manager.go ``UpdatePodStatus``, ``isContainerStarted``,
``setReadyStateOnKubeletRestart``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.objects.container import ContainerKind, ProbeKind

if TYPE_CHECKING:
    from edge_runtime.objects.container import Container, Json
    from edge_runtime.objects.probe_results import ContainerProbes


def readiness(
    container: Container,
    status: Json,
    *,
    verdicts: ContainerProbes | None,
    old: Json | None,
) -> Json:
    """Return ``ready`` and ``started`` of a container's status.

    Args:
        container: The container.
        status: Its status but for the two.
        verdicts: What its probes found of the attempt that the status shows; None without any.
        old: Its status before: what probes found before this process started stays until they find
            otherwise.
    """
    if container.kind is ContainerKind.EPHEMERAL:
        return {"ready": False}
    is_running = "running" in status["state"]
    is_same = old is not None and old.get("containerID") == status.get("containerID")
    before: Json = old if old is not None and is_same else {}
    started = is_running and _is_started(container, verdicts, before)
    if container.kind is ContainerKind.INIT and not container.is_sidecar:
        ended = status["state"].get("terminated")
        return {"ready": ended is not None and ended["exitCode"] == 0, "started": started}
    return {"ready": started and _is_ready(container, verdicts, before), "started": started}


def _is_started(container: Container, verdicts: ContainerProbes | None, before: Json) -> bool:
    if container.probe(ProbeKind.STARTUP) is None:
        return True
    if verdicts is not None and verdicts.started is not None:
        return verdicts.started
    return bool(before.get("started"))


def _is_ready(container: Container, verdicts: ContainerProbes | None, before: Json) -> bool:
    if container.probe(ProbeKind.READINESS) is None:
        return True
    if verdicts is not None and verdicts.ready is not None:
        return verdicts.ready
    return bool(before.get("ready"))
