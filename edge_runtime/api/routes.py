"""The route table: every path that the edge answers, and who answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from edge_runtime.api.attach import AttachHandler, AttachRuntime
from edge_runtime.api.container_logs import ContainerLogsHandler, LogsRuntime, NewestStatuses
from edge_runtime.api.exec import ExecHandler, ExecRuntime
from edge_runtime.api.healthz import HealthCheck, HealthHandler
from edge_runtime.api.metrics import PodMetricsHandler
from edge_runtime.api.node_logs import MAX_DEPTH, NodeLogsHandler
from edge_runtime.api.own_metrics import OwnMetricsHandler
from edge_runtime.api.pods import PodLister, PodsHandler
from edge_runtime.api.port_forward import PortForwardHandler, PortForwardRuntime
from edge_runtime.api.router import Route
from edge_runtime.api.run import RunHandler, RunRuntime
from edge_runtime.api.stats import NodeFigures, StatsHandler
from edge_runtime.api.targets import PodSource
from edge_runtime.policy.edge_policy import CallKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edge_runtime.api.guarded_calls import CallGuard
    from edge_runtime.api.node_logs import NodeLogsOptions
    from edge_runtime.api.sync import SyncHandler
    from edge_runtime.telemetry.metrics import EdgeMetrics

_GET = ("GET",)
_BOTH = ("GET", "POST")


class ApiPods(PodSource, PodLister, Protocol):
    """The desired pods, as all routes together need them."""


class ApiRuntime(ExecRuntime, AttachRuntime, PortForwardRuntime, RunRuntime, LogsRuntime, Protocol):
    """The runtime, as all routes together need it."""


def edge_routes(
    *,
    pods: ApiPods,
    statuses: NewestStatuses,
    runtime: ApiRuntime,
    checks: Mapping[str, HealthCheck],
    sync: SyncHandler,
    figures: NodeFigures,
    metrics: EdgeMetrics,
    guard: CallGuard,
    node_logs: NodeLogsOptions,
) -> list[Route]:
    """Build the table.

    Source: kubernetes pkg/kubelet/server/server.go ``InstallAuthRequiredHandlers``.

    Args:
        pods: The desired pods.
        statuses: Their newest statuses.
        runtime: The container runtime.
        checks: What ``/healthz`` looks at, by name.
        sync: Serves ``/sync``.
        figures: What machine and pods use.
        metrics: What the edge counts.
        guard: Holds calls into pods against the policy, and writes them down.
        node_logs: What of the machine's own logs is shown.
    """
    commands = ExecHandler(pods=pods, runtime=runtime, outlived=metrics.outlived_execs.inc)
    log_files = ContainerLogsHandler(pods=pods, statuses=statuses, runtime=runtime)
    execute = guard.guarded(CallKind.EXEC, commands.handle)
    attach = guard.guarded(CallKind.ATTACH, AttachHandler(pods=pods, runtime=runtime).handle)
    forward = guard.guarded(
        CallKind.PORT_FORWARD, PortForwardHandler(pods=pods, runtime=runtime).handle
    )
    run = guard.guarded(CallKind.RUN, RunHandler(pods=pods, runtime=runtime).handle)
    logs = guard.guarded(CallKind.LOGS, log_files.handle)
    lists = PodsHandler(pods=pods, statuses=statuses, runtime=runtime)
    health = HealthHandler(checks)
    pod_metrics = PodMetricsHandler(figures)
    return [
        Route("/containerLogs/{namespace}/{pod}/{container}", _GET, logs),
        Route("/exec/{namespace}/{pod}/{container}", _BOTH, execute),
        Route("/exec/{namespace}/{pod}/{uid}/{container}", _BOTH, execute),
        Route("/attach/{namespace}/{pod}/{container}", _BOTH, attach),
        Route("/attach/{namespace}/{pod}/{uid}/{container}", _BOTH, attach),
        Route("/portForward/{namespace}/{pod}", _BOTH, forward),
        Route("/portForward/{namespace}/{pod}/{uid}", _BOTH, forward),
        Route("/run/{namespace}/{pod}/{container}", ("POST",), run),
        Route("/run/{namespace}/{pod}/{uid}/{container}", ("POST",), run),
        Route("/pods", _GET, lists.handle_pods),
        Route("/runningpods/", _GET, lists.handle_running_pods),
        Route("/stats/summary", _BOTH, StatsHandler(figures).handle),
        Route("/metrics/resource", _GET, pod_metrics.handle_resource),
        Route("/metrics/cadvisor", _GET, pod_metrics.handle_cadvisor),
        Route("/metrics", _GET, OwnMetricsHandler(metrics.registry, volumes=figures).handle),
        Route("/metrics/probes", _GET, OwnMetricsHandler(metrics.probes.registry).handle),
        Route("/healthz", _GET, health.handle_all),
        Route("/healthz/{check}", _GET, health.handle_one),
        Route("/sync", ("CONNECT",), sync.handle),
        *_log_folder_routes(NodeLogsHandler(node_logs)),
    ]


def _log_folder_routes(handler: NodeLogsHandler) -> list[Route]:
    parts = [f"/{{part{depth}}}" for depth in range(MAX_DEPTH)]
    return [
        Route("/logs" + "".join(parts[:depth]), _GET, handler.handle)
        for depth in range(MAX_DEPTH + 1)
    ]
