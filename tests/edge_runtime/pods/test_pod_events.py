"""Texts of events, as a kubelet 1.36 words them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.pod_network.dns_config import DnsWarning
from edge_runtime.pods.pod_events import PodEvents
from tests.fakes.edge_pods import pod_json

if TYPE_CHECKING:
    from collections.abc import Callable

POD = Pod(pod_json())


class Recorded:
    """Keeps what is recorded."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str, str]] = []

    def record(
        self, pod: Pod, *, event_type: str, reason: str, message: str, container_name: str = ""
    ) -> None:
        """Keep one event."""
        assert pod is POD
        self.events.append((event_type, reason, message, container_name))


CASES: list[tuple[Callable[[PodEvents], None], tuple[str, str, str, str]]] = [
    (lambda e: e.created(POD, "c"), ("Normal", "Created", "Container created", "c")),
    (lambda e: e.started(POD, "c"), ("Normal", "Started", "Container started", "c")),
    (lambda e: e.killing(POD, "c"), ("Normal", "Killing", "Stopping container c", "c")),
    (
        lambda e: e.back_off(POD, "c"),
        ("Warning", "BackOff", "Back-off restarting failed container c in pod p_ns(u)", "c"),
    ),
    (
        lambda e: e.sandbox_changed(POD),
        (
            "Normal",
            "SandboxChanged",
            "Pod sandbox changed, it will be killed and re-created.",
            "",
        ),
    ),
    (
        lambda e: e.pre_stop_failed(POD, "c"),
        ("Warning", "FailedPreStopHook", "PreStopHook failed", "c"),
    ),
    (
        lambda e: e.probe_failed(POD, "c", "Readiness", "HTTP probe failed with statuscode: 500"),
        (
            "Warning",
            "Unhealthy",
            "Readiness probe failed: HTTP probe failed with statuscode: 500",
            "c",
        ),
    ),
    (
        lambda e: e.probe_errored(POD, "c", "Liveness", "failure", "no such container"),
        (
            "Warning",
            "Unhealthy",
            "Liveness probe errored and resulted in failure state: no such container",
            "c",
        ),
    ),
    (
        lambda e: e.probe_warned(POD, "c", "Startup", "redirected"),
        ("Warning", "ProbeWarning", "Startup probe warning: redirected", "c"),
    ),
    (
        lambda e: e.network_not_ready(POD, "no plugin"),
        ("Warning", "NetworkNotReady", "network is not ready: no plugin", ""),
    ),
    (
        lambda e: e.grace_period_exceeded(POD),
        (
            "Warning",
            "ExceededGracePeriod",
            "Container runtime did not kill the pod within specified grace period.",
            "",
        ),
    ),
    (
        lambda e: e.dns_config_formed(POD, [DnsWarning(reason="DNSConfigForming", message="m")]),
        ("Warning", "DNSConfigForming", "m", ""),
    ),
]


@pytest.mark.parametrize(("tell", "event"), CASES)
def test_texts(tell: Callable[[PodEvents], None], event: tuple[str, str, str, str]) -> None:
    """Type, reason, message and container."""
    recorded = Recorded()
    tell(PodEvents(recorded))
    assert recorded.events == [event]


def test_container_ids_are_not_repeated() -> None:
    """Each attempt would be an event of its own."""
    recorded = Recorded()
    events = PodEvents(recorded)
    events.failed(POD, "c", 'task "0123" failed', container_id="0123")  # type: ignore[arg-type]
    assert recorded.events[0][2] == 'Error: task "c" failed'
