"""NodeReports and pod statuses as an edge sends them."""

from __future__ import annotations

from typing import Any

from tunnel.sync import NodeReport

Json = dict[str, Any]

_HEALTHY = {
    "MemoryPressure": "KubeletHasSufficientMemory",
    "DiskPressure": "KubeletHasNoDiskPressure",
    "PIDPressure": "KubeletHasSufficientPID",
}


def make_report(**changes: Any) -> NodeReport:  # noqa: ANN401 - any field
    """Return the report of a healthy machine."""
    conditions = [
        {"type": kind, "status": "False", "reason": reason, "message": "fine"}
        for kind, reason in _HEALTHY.items()
    ]
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "fine"}
    fields: dict[str, Any] = {
        "capacity": {"cpu": "2", "memory": "16384000Ki", "pods": "110"},
        "allocatable": {"cpu": "2"},
        "conditions": [*conditions, ready],
        "node_info": {
            "machineID": "m",
            "operatingSystem": "linux",
            "architecture": "amd64",
            "kubeletVersion": "none",
        },
        "host_addresses": ["192.168.1.2"],
    }
    return NodeReport(**(fields | changes))


def make_pod(name: str = "p", **metadata: Any) -> Json:  # noqa: ANN401 - any field
    """Return a pod that the scheduler has just bound to site-a."""
    return {
        "metadata": {"name": name, "namespace": "default", **metadata},
        "spec": {"nodeName": "site-a", "containers": [{"name": "c", "image": "busybox"}]},
        "status": {
            "phase": "Pending",
            "qosClass": "BestEffort",
            "conditions": [{"type": "PodScheduled", "status": "True"}],
        },
    }


def make_status(phase: str = "Running", *, ready: bool = True, ip: str = "10.88.0.5") -> Json:
    """Return the status of a pod with one container."""
    since = "2026-01-01T00:00:00Z"
    running = {"running": {"startedAt": since}}
    ended = {"terminated": {"exitCode": 0, "reason": "Completed"}}
    readiness = "True" if ready else "False"
    return {
        "phase": phase,
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": since},
            {"type": "Ready", "status": readiness, "lastTransitionTime": since},
            {"type": "ContainersReady", "status": readiness, "lastTransitionTime": since},
        ],
        "hostIP": "192.168.1.2",
        "hostIPs": [{"ip": "192.168.1.2"}],
        "podIP": ip,
        "podIPs": [{"ip": ip}] if ip else [],
        "startTime": since,
        "containerStatuses": [
            {
                "name": "c",
                "ready": ready,
                "restartCount": 0,
                "containerID": "containerd://1",
                "state": running if phase == "Running" else ended,
            }
        ],
    }
