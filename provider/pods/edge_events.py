"""Events of the edge: told on where they are about its node or one of its pods, else refused.

Events tell of a pod's end, too, and may come before the first list. So some pods that are gone are
remembered for theirs, and some events wait for the list.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from provider.pods.edge_claims import believed_event, believed_node_event
from tunnel.sync import EventAck

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunnel.sync import EventReport, FromProvider

logger = logging.getLogger(__name__)

Json = dict[str, Any]

# Pods that are gone, and events that wait for the first list. An event too many comes again with
# the edge's next session.
MAX_REMEMBERED: Final = 512


class EdgeEvents:
    """Passes believed events on; no method waits."""

    def __init__(
        self,
        *,
        node_name: str,
        pods: Mapping[str, Json],
        on_event: Callable[[EventReport], None],
        send: Callable[[FromProvider], None],
    ) -> None:
        """Pass nothing on about pods before ``pods_listed``.

        Args:
            node_name: Whose machine events about a node are about.
            pods: The node's pods by UID, as they are at each moment.
            on_event: Told of events to record.
            send: Takes messages for the edge.
        """
        self._node_name = node_name
        self._pods = pods
        self._on_event = on_event
        self._send = send
        self._is_listed = False
        self._early: dict[str, EventReport] = {}
        # Metadata of pods that are gone, by UID, the oldest first.
        self._past: dict[str, Json] = {}

    def pods_listed(self) -> None:
        """Take note that all pods are known; what waited for that is looked at."""
        self._is_listed = True
        early, self._early = self._early, {}
        for event in early.values():
            self.arrived(event)

    def pod_deleted(self, uid: str, pod: Json) -> None:
        """Remember a pod that the API had until now."""
        self._past[uid] = {key: pod["metadata"][key] for key in ("namespace", "name", "uid")}
        if len(self._past) > MAX_REMEMBERED:
            del self._past[next(iter(self._past))]

    def arrived(self, event: EventReport) -> None:
        """Take an event about the node or its pods; a node could write one about anything."""
        if (own := believed_node_event(event, node_name=self._node_name)) is not None:
            self._on_event(own)
            return
        if not self._is_listed:
            if len(self._early) < MAX_REMEMBERED:
                self._early[event.id] = event
            return
        uid = event.regarding.get("uid")
        pod = self._pods.get(uid, {}).get("metadata") if isinstance(uid, str) else None
        if pod is None and isinstance(uid, str):
            pod = self._past.get(uid)
        believed = believed_event(event, pod) if pod is not None else None
        if believed is None:
            logger.debug("an event of the edge is about nothing of its own")
            self._send(EventAck(id=event.id))
            return
        self._on_event(believed)
