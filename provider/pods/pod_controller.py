"""Watches the node's pods and keeps the edge's desired state equal to the API's.

The watch never stops while the edge is away; the sync stream, one per session, begins with a
comparison of everything, and goes on through interruptions. What the edge may forget because of its
absence it learns only from ``Desired{complete}``, which waits for the first complete list, and for
a fresh one when the edge knows pods that we do not: another provider may have told it of them, and
our watch may be behind (DESIGN law 2).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from provider.edge_link.edge_client import SiteOffline
from provider.kube.client import resource_path
from provider.kube.errors import ApiError, CredentialsError
from provider.kube.watch import (
    Added,
    Backoff,
    Deleted,
    Listed,
    Modified,
    list_all,
    list_and_watch,
)
from provider.pods.desired_state import compute_revision, pod_uid
from provider.pods.edge_claims import check_hello
from provider.pods.edge_events import EdgeEvents
from provider.pods.sync_session import SyncSession
from provider.pods.sync_stream import SyncOutbox, run_sync_stream
from tunnel.errors import TunnelError
from tunnel.sync import (
    Ack,
    Desired,
    EventReport,
    Hello,
    NodeReport,
    PodForget,
    PodGone,
    PodStatus,
    StatusWant,
    TokenWant,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from provider.kube.client import KubeApi
    from provider.kube.watch import WatchEvent
    from provider.pods.pod_dependencies import PodDependencies
    from provider.pods.status_writer import StatusWriter
    from provider.pods.sync_stream import Edge
    from provider.pods.toleration_patch import TolerationPatch
    from provider.telemetry.sync_traffic import SyncTraffic
    from tunnel.sync import FromEdge, NodePut

logger = logging.getLogger(__name__)

Json = dict[str, Any]

# A sync stream that breaks while the session lives is opened again this soon, and at most this
# late: an edge without it runs on, but learns nothing new.
_FIRST_DELAY_S = 0.2
_MAX_DELAY_S = 5.0
# One that lasted this long was a good one. An edge that says Hello and breaks off every time must
# not be sent everything ten times a second.
_GOOD_STREAM_S = 5.0


class PodController:
    """Brings the node's pods to the edge and what the edge says to those who care."""

    def __init__(
        self,
        *,
        api: KubeApi,
        edge: Edge,
        node_name: str,
        outbox: SyncOutbox,
        status_writer: StatusWriter,
        dependencies: PodDependencies,
        on_node_report: Callable[[NodeReport], None],
        on_event: Callable[[EventReport], None],
        tolerations: TolerationPatch | None = None,
        traffic: SyncTraffic | None = None,
    ) -> None:
        """Wire the controller; ``run`` does the work.

        Args:
            api: The node's identity.
            edge: Where the sync stream is opened.
            node_name: Selects the pods.
            outbox: Messages for the edge; the status writer puts its own in.
            status_writer: Told of pods and statuses; its ``run`` is the caller's.
            dependencies: Told of pods and sessions, brings what pods need; its ``run`` is the
                caller's.
            on_node_report: Told what the edge says of its machine.
            on_event: Told of events to record.
            tolerations: Told of pods whose tolerations it may have to patch; its ``run`` is the
                caller's.
            traffic: Counts what the sync stream carries.
        """
        self._api = api
        self._edge = edge
        self._selector = {"fieldSelector": f"spec.nodeName={node_name}"}
        self._outbox = outbox
        self._status_writer = status_writer
        self._dependencies = dependencies
        self._on_node_report = on_node_report
        self._tolerations = tolerations
        self._traffic = traffic
        self._pods: dict[str, Json] = {}
        self._revisions: dict[str, str] = {}
        self._events = EdgeEvents(
            node_name=node_name, pods=self._pods, on_event=on_event, send=outbox.put
        )
        self._is_listed = False
        self._node_put: NodePut | None = None
        self._session: SyncSession | None = None
        self._doubt = asyncio.Event()

    def put_node(self, message: NodePut) -> None:
        """Take what the edge is to know of its Node, now and at the start of each session."""
        self._node_put = message
        self._outbox.put(message)

    def pods(self) -> Iterable[Json]:
        """Return the node's pods as the API has them."""
        return tuple(self._pods.values())

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch_pods())
            tasks.create_task(self._sync_forever())
            tasks.create_task(self._settle_doubts())
            tasks.create_task(self._watch_link())

    # The watch.

    async def _watch_pods(self) -> None:
        watch = list_and_watch(self._api, resource_path("pods"), query=self._selector)
        async with contextlib.aclosing(watch) as events:
            async for event in events:
                self._handle_watch_event(event)

    def _handle_watch_event(self, event: WatchEvent) -> None:
        match event:
            case Listed(items=items):
                self._replace_pods({pod_uid(pod): pod for pod in items})
            case Added(object=pod) | Modified(object=pod):
                self._store_pod(pod)
                self._status_writer.pod_changed(pod_uid(pod), pod)
            case Deleted(object=pod):
                self._drop_pod(pod_uid(pod))
                self._status_writer.pod_deleted(pod_uid(pod))

    def _replace_pods(self, pods: dict[str, Json]) -> None:
        for uid in set(self._pods) - set(pods):
            self._drop_pod(uid)
        for pod in pods.values():
            self._store_pod(pod)
        self._is_listed = True
        self._status_writer.pods_listed(pods)
        self._events.pods_listed()
        self._start_session()

    def _store_pod(self, pod: Json) -> None:
        uid = pod_uid(pod)
        self._pods[uid] = pod
        self._revisions[uid] = compute_revision(pod)
        self._dependencies.pod_changed(pod)
        if self._tolerations is not None:
            self._tolerations.pod_changed(pod)
        if self._session is not None and self._session.is_started:
            self._send_pod(self._session, uid)

    def _drop_pod(self, uid: str) -> None:
        if (pod := self._pods.pop(uid, None)) is not None:
            self._events.pod_deleted(uid, pod)
        self._revisions.pop(uid, None)
        if self._tolerations is not None:
            self._tolerations.pod_deleted(uid)
        if self._session is not None and self._session.is_started:
            self._session.pod_deleted(uid)
            self._outbox.put(PodForget(uid=uid))
        self._dependencies.pod_deleted(uid)

    # The sync stream.

    async def _sync_forever(self) -> None:
        backoff = Backoff(first_s=_FIRST_DELAY_S, cap_s=_MAX_DELAY_S)
        while True:
            await self._edge.wait_connected()
            began_at = asyncio.get_running_loop().time()
            try:
                await run_sync_stream(
                    self._edge,
                    self._outbox,
                    on_hello=self._handle_hello,
                    on_message=self._handle_message,
                    traffic=self._traffic,
                )
                reason = "the edge ended it"
            except (SiteOffline, TunnelError, TimeoutError) as exc:
                reason = str(exc) or "the edge does not answer"
            finally:
                self._session = None
                self._dependencies.session_ended()
                self._status_writer.session_ended()
            if asyncio.get_running_loop().time() - began_at >= _GOOD_STREAM_S:
                backoff.reset()
            delay_s = backoff.next_delay_s()
            logger.info("the sync stream ended, again in %.1f s: %s", delay_s, reason)
            await asyncio.sleep(delay_s)

    def _handle_hello(self, hello: Hello) -> None:
        check_hello(hello)
        logger.info("edge %s says hello with %d pods", hello.version[:64], len(hello.pods))
        self._session = SyncSession(hello)
        self._status_writer.statuses_offered(hello.statuses)
        if self._node_put is not None:
            self._outbox.put(self._node_put)
        self._start_session()

    def _start_session(self) -> None:
        """Bring the edge up to date, once there is a Hello and a complete list."""
        session = self._session
        if session is None or session.is_started or not self._is_listed:
            return
        session.start(self._pods)
        # Before the pods that wait for them.
        self._dependencies.session_started(session.hello)
        for uid in self._pods:
            self._send_pod(session, uid)
        if session.doubted:
            self._doubt.set()
        else:
            self._send_desired(session)

    def _send_desired(self, session: SyncSession) -> None:
        session.settle()
        self._outbox.put(Desired(pods=dict(self._revisions), complete=True))
        self._dependencies.all_pods_known()

    async def _settle_doubts(self) -> None:
        """List afresh when the edge knows pods that our list lacks, and only then say it is all."""
        backoff = Backoff(first_s=_FIRST_DELAY_S, cap_s=_MAX_DELAY_S)
        while True:
            await self._doubt.wait()
            self._doubt.clear()
            session = self._session
            doubted = session.doubted if session is not None else None
            try:
                listed = await list_all(self._api, resource_path("pods"), query=self._selector)
            except (ApiError, CredentialsError) as exc:
                logger.warning("it is not known which pods the edge may forget: %s", exc)
                self._doubt.set()
                await asyncio.sleep(backoff.next_delay_s())
                continue
            backoff.reset()
            # Only the session whose Hello came before the list: a later one begins anew.
            if session is not None and session is self._session and doubted is not None:
                self._take_missed({pod_uid(pod): pod for pod in listed.items}, doubted)
                self._send_desired(session)

    def _take_missed(self, listed: dict[str, Json], doubted: set[str]) -> None:
        for uid in doubted & set(listed) - set(self._pods):
            logger.info("pod %s is known to the edge before our watch tells of it", uid)
            self._store_pod(listed[uid])
            self._status_writer.pod_changed(uid, listed[uid])
            self._outbox.put(StatusWant(uid=uid))

    async def _watch_link(self) -> None:
        """Write no statuses while the link is cut: then a silent node's pods are rightly unready.

        The session and its sync stream go on afterwards.
        """
        while True:
            state = self._edge.state
            self._status_writer.set_connected(connected=state.connected)
            # ``changed`` registers its interest before it first suspends: there MUST be no await
            # between the comparison and that.
            while self._edge.state == state:
                await self._edge.changed()

    def _send_pod(self, session: SyncSession, uid: str) -> None:
        put = session.pod_put(uid, self._pods[uid], revision=self._revisions[uid])
        if put is not None:
            self._outbox.put(put)

    def _handle_message(self, message: FromEdge) -> None:
        match message:
            case NodeReport():
                self._on_node_report(message)
            case PodStatus():
                self._status_writer.status_arrived(message)
            case PodGone():
                self._status_writer.pod_gone(message)
            case EventReport():
                self._events.arrived(message)
            case Ack(key=key):
                if key in self._pods and self._session is not None:
                    self._session.pod_stored(key)
            case TokenWant():
                self._dependencies.token_wanted(message)
            case Hello():
                raise AssertionError("the sync stream hands over one Hello, apart")
