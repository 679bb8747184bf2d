"""Keeps the Node as it should be: makes it, puts it right, tells how it does.

It watches its own Node, so that it sees at once what others do to it: a node controller that gave
the site up, an administrator's taint, a deletion. Everything that may make a difference (a watch
event, a report of the edge, a change of the link, ten seconds) only wakes ``_reconcile``, which
compares what is with what should be and patches the difference.

While the site is offline only what the provider itself knows is patched: its address and
EdgeletTunnelReady. Ready and the heartbeats are left to the cluster's node controller, which
turns them to Unknown when its grace is over (DESIGN law 6).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING, Any, Final

from provider.kube.client import resource_path
from provider.kube.errors import AlreadyExists, ApiError, CredentialsError, NotFound
from provider.kube.pace import Pace
from provider.kube.timestamps import format_time, utc_now
from provider.kube.watch import (
    Added,
    Backoff,
    Deleted,
    Listed,
    Modified,
    is_older_version,
    list_and_watch,
)
from provider.node.edge_claims import believed_report
from provider.node.link import wait_change
from provider.node.node_object import (
    TunnelReason,
    build_addresses,
    build_node,
    build_status,
    build_tunnel_condition,
    compute_metadata_patch,
    compute_node_put,
    compute_role_patch,
    compute_status_patch,
    condition_status,
    order_conditions,
    stamp_conditions,
)
from provider.telemetry.lasting_problem import LastingProblem

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from provider.kube.client import KubeApi
    from provider.kube.event_writer import EventWriter
    from provider.node.link import Link
    from provider.node.node_object import NodeSettings
    from tunnel.sync import NodePut, NodeReport

logger = logging.getLogger(__name__)

Json = dict[str, Any]

CHECK_INTERVAL_S: Final = 10.0
# A Node that does not change is patched this often all the same, give or take a half.
HEARTBEAT_INTERVAL_S: Final = 300.0
# An edge whose reports change without end.
REPORTS_BURST: Final = 10
REPORTS_PER_S: Final = 1.0
_READY_REASONS = {"True": "NodeReady", "False": "NodeNotReady"}


class NodeController:
    """Owns the site's Node."""

    def __init__(
        self,
        *,
        as_node: KubeApi,
        as_self: KubeApi,
        link: Link,
        settings: NodeSettings,
        events: EventWriter,
        publish: Callable[[NodePut], None],
        now: Callable[[], datetime] = utc_now,
        rng: random.Random | None = None,
    ) -> None:
        """Wire the controller; ``run`` does the work.

        Args:
            as_node: Creates and patches the Node.
            as_self: Patches the role labels, which no node may set.
            link: The link to the edge.
            settings: What the provider decides of the Node.
            events: Where the Node's events go.
            publish: Told what the edge is to know of its Node, whenever that changes.
            now: The wall clock.
            rng: Source of jitter.
        """
        self._as_node = as_node
        self._as_self = as_self
        self._link = link
        self._settings = settings
        self._events = events
        self._publish = publish
        self._now = now
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, guards nothing
        self._backoff = Backoff(first_s=0.2, cap_s=7.0, rng=self._rng)
        self._problem = LastingProblem(logger, f"Node {settings.name} is not up to date")
        self._live: Json | None = None
        self._is_listed = False
        self._was_deleted = False
        self._published = ""
        # The edge's newest report, and of which session. One that merely goes on after an
        # interruption tells of its machine only what has changed.
        self._report: NodeReport | None = None
        self._report_session = ""
        self._heartbeat_at = 0.0
        self._wake = asyncio.Event()
        self._pace = Pace(burst=REPORTS_BURST, per_s=REPORTS_PER_S)
        self._exists = asyncio.Event()

    async def node_uid(self) -> str:
        """Return the Node's UID, when there is a Node; safe to cancel."""
        while self._live is None:
            await self._exists.wait()
        return str(self._live["metadata"]["uid"])

    def report(self, report: NodeReport) -> None:
        """Take what the edge says of its machine.

        Raises:
            SyncError: It says what cannot be.
        """
        report = believed_report(report)
        session = self._link.state.session_id_hash
        if self._report_session != session:
            # The node controller may have given the site up: say Ready again without waiting.
            self._heartbeat_at = 0.0
        self._report = report
        self._report_session = session
        self._wake.set()

    async def run(self) -> None:
        """Keep the Node right until cancelled; the Node stays."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_node())
            tasks.create_task(self._watch_link())
            tasks.create_task(self._reconcile_forever())

    async def _watch_node(self) -> None:
        selector = {"fieldSelector": f"metadata.name={self._settings.name}"}
        watch = list_and_watch(self._as_node, resource_path("nodes"), query=selector)
        async with contextlib.aclosing(watch) as events:
            async for event in events:
                match event:
                    case Listed(items=items):
                        self._is_listed = True
                        self._set_live(items[0] if items else None)
                    case Added(object=node) | Modified(object=node):
                        self._set_live(node)
                    case Deleted():
                        self._set_live(None)
                self._wake.set()

    async def tell_stop(self, *, timeout_s: float) -> None:
        """Say in the Node that its provider stops, if that can be done in time.

        ``run`` has ended. Ready is left to the node controller, as while the site is offline.
        """
        if self._live is None:
            return
        time = format_time(self._now())
        tunnel = build_tunnel_condition(
            self._settings.name, TunnelReason.PROVIDER_STOPPED, since=time, last_error=""
        )
        patch = compute_status_patch(
            self._live, {}, stamp_conditions(self._live, [tunnel], now=time)
        )
        try:
            async with asyncio.timeout(timeout_s):
                await self._patch(self._as_node, patch or {}, subresource="status")
        except (ApiError, CredentialsError, TimeoutError) as exc:
            reason = str(exc) or "no answer in time"
            logger.warning("the Node does not say that its provider stopped: %s", reason)

    async def _watch_link(self) -> None:
        state = self._link.state
        while True:
            state = await wait_change(self._link, state)
            name = self._settings.name
            if state.connected:
                self._events.record_node("Normal", "TunnelConnected", f"Site {name} is connected")
            else:
                message = f"Site {name} lost its connection: {state.last_error or 'no reason'}"
                self._events.record_node("Warning", "TunnelLost", message)
            self._wake.set()

    async def _reconcile_forever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CHECK_INTERVAL_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._pace.turn()
                await self._reconcile()
                self._backoff.reset()
                self._problem.solved()
            except (ApiError, CredentialsError) as exc:
                self._problem.occurred(exc)
                self._wake.set()
                await asyncio.sleep(self._backoff.next_delay_s())

    async def _reconcile(self) -> None:
        if not self._is_listed:
            return  # whether there is a Node is not known yet
        state = self._link.state
        is_fresh = state.connected and state.session_id_hash == self._report_session
        report = self._report if is_fresh else None
        if self._live is None:
            if report is None:
                return  # nobody can say what the machine is
            await self._create(report)
        if self._live is not None and report is not None:
            await self._patch_metadata(self._live, report)
        if self._live is not None:
            await self._patch_status(self._live, report)

    async def _create(self, report: NodeReport) -> None:
        was_deleted, name = self._was_deleted, self._settings.name
        node = build_node(self._settings, report, self._conditions(None, report))
        try:
            self._set_live(await self._as_node.create(resource_path("nodes"), node))
        except AlreadyExists:  # the watch has not told yet
            self._set_live(await self._as_node.get(self._path()))
            return
        logger.info("Node %s is created", name)
        self._plan_heartbeat()
        self._was_deleted = False
        if was_deleted:
            message = f"Node {name} was deleted while its site is served, and is made again"
            self._events.record_node("Warning", "NodeRecreated", message)
        else:
            self._events.record_node("Normal", "Starting", "Starting kubelet.")
        self._record_ready(None, condition_status(self._live, "Ready"))

    async def _patch_metadata(self, live: Json, report: NodeReport) -> None:
        if patch := compute_metadata_patch(live, self._settings, report):
            live = await self._patch(self._as_node, patch)
        if patch := compute_role_patch(live):
            await self._patch(self._as_self, patch)

    async def _patch_status(self, live: Json, report: NodeReport | None) -> None:
        time = asyncio.get_running_loop().time()
        wanted = build_addresses(self._settings)
        if report is not None:
            wanted = build_status(self._settings, report)
        heartbeat = report is not None and time >= self._heartbeat_at
        conditions = self._conditions(live, report)
        patch = compute_status_patch(live, wanted, conditions, heartbeat=heartbeat)
        if patch is None:
            return
        before = condition_status(live, "Ready")
        after = await self._patch(self._as_node, patch, subresource="status")
        if report is not None:
            self._plan_heartbeat()
            self._record_ready(before, condition_status(after, "Ready"))

    def _plan_heartbeat(self) -> None:
        time = asyncio.get_running_loop().time()
        self._heartbeat_at = time + HEARTBEAT_INTERVAL_S * self._rng.uniform(0.5, 1.5)

    def _conditions(self, live: Json | None, report: NodeReport | None) -> list[Json]:
        state = self._link.state
        reason = TunnelReason.INTERRUPTED if state.session_id_hash else TunnelReason.LOST
        tunnel = build_tunnel_condition(
            self._settings.name,
            TunnelReason.CONNECTED if state.connected else reason,
            since=format_time(state.since),
            last_error=state.last_error,
        )
        wanted = order_conditions(report.conditions if report else (), tunnel)
        return stamp_conditions(live, wanted, now=format_time(self._now()))

    def _record_ready(self, before: str | None, after: str | None) -> None:
        if after != before and after in _READY_REASONS:
            reason = _READY_REASONS[after]
            message = f"Node {self._settings.name} status is now: {reason}"
            self._events.record_node("Normal", reason, message)

    async def _patch(self, api: KubeApi, patch: Json, *, subresource: str = "") -> Json:
        """Patch the Node and take the answer for what it is now."""
        try:
            node = await api.patch(self._path(subresource), patch)
        except NotFound:
            self._set_live(None)
            raise
        self._set_live(node)
        return node

    def _set_live(self, node: Json | None) -> None:
        """Take the newest state of the Node: a watch event may be older than a patch's answer."""
        if node is None:
            self._was_deleted = self._was_deleted or self._live is not None
            self._live = None
            self._exists.clear()
            return
        if self._live is not None and self._live["metadata"]["uid"] == node["metadata"]["uid"]:
            versions = [item["metadata"]["resourceVersion"] for item in (node, self._live)]
            if is_older_version(versions[0], versions[1]):
                return
        self._live = node
        self._exists.set()
        put = compute_node_put(node)
        if put.revision != self._published:
            self._published = put.revision
            self._publish(put)

    def _path(self, subresource: str = "") -> str:
        return resource_path("nodes", name=self._settings.name, subresource=subresource)
