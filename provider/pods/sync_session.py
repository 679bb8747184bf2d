"""What the edge of one session has of the site's pods, and what it is to be sent. Pure.

    Hello ──> knows what the edge says ──start──> every difference is sent, and counts as known then
                                          └──> pods that only the edge knows are doubted

The session, and with it this, ends with its sync stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from provider.pods.desired_state import compute_pod_put

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tunnel.sync import Hello, PodPut

Json = dict[str, Any]


class SyncSession:
    """One session's pods, from its Hello on.

    Attributes:
        hello: How it began.
        is_started: The list of pods is complete, so every difference is sent.
        doubted: UIDs of the Hello that were not in the list at the start; None before that, and
            once the edge was told that it knows all.
    """

    def __init__(self, hello: Hello) -> None:
        self.hello = hello
        self.is_started = False
        self.doubted: set[str] | None = None
        # What the edge has, or is being sent: UID to revision.
        self._known = dict(hello.pods)
        # UIDs of which the edge has stored something; the others get their status with the pod.
        self._stored = set(hello.pods)

    def start(self, uids: Iterable[str]) -> None:
        """Begin, with the complete list of the node's pods."""
        self.is_started = True
        self.doubted = set(self._known) - set(uids)

    def settle(self) -> None:
        """Take note that the edge is told which pods are all: nothing is doubted any more."""
        self.doubted = None

    def pod_put(self, uid: str, pod: Json, *, revision: str) -> PodPut | None:
        """Return what the edge is to be sent of a pod, None when it has that."""
        if self._known.get(uid) == revision:
            return None
        put = compute_pod_put(pod, with_status=uid not in self._stored)
        self._known[uid] = put.revision
        return put

    def pod_stored(self, uid: str) -> None:
        """Take note that the edge acknowledged a pod."""
        self._stored.add(uid)

    def pod_deleted(self, uid: str) -> None:
        """Take note that the edge is told to forget a pod."""
        self._known.pop(uid, None)
        self._stored.discard(uid)
