"""Keeps the objects that the site's pods refer to, and brings them to the edge.

    a pod refers to it ──> watched by name, or polled ──changed──> ObjectPut
    no pod does any more ──> ObjectForget

    a claim is bound ──> its volume is referred to, by the claim

Each object is followed once and sent once, however many pods share it. At most MAX_OBJECT_WATCHES
are watched, each over a connection of its own pool; the others, those that nobody can change, and
those that a node may only get, are polled. Only the API server's word that an object is not there
makes it missing: a refusal, such as right after a pod was bound, is asked again.

Source: kubernetes pkg/kubelet/util/manager/watch_based_manager.go, cache_based_manager.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING, Any, Final

from provider.kube.client import MAX_OBJECT_WATCHES, resource_path
from provider.kube.errors import ApiError, CredentialsError, NotFound
from provider.kube.watch import Added, Backoff, Deleted, Listed, Modified, list_and_watch
from provider.pods.desired_objects import compute_object_put
from provider.pods.desired_state import pod_uid
from provider.pods.references import (
    CLAIM,
    KINDS,
    VOLUME,
    ObjectRef,
    claim_volume,
    pod_references,
)
from provider.telemetry.lasting_problem import LastingProblem
from tunnel.sync import ObjectForget, ObjectPut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provider.kube.client import KubeApi

logger = logging.getLogger(__name__)

Json = dict[str, Any]

# A kubelet's own cache of polled objects lives for a minute; a pod may wait for a missing one.
POLL_S: Final = 60.0
MISSING_POLL_S: Final = 10.0
# A pod whose claim is not bound yet waits to be started.
UNBOUND_POLL_S: Final = 2.0
# An object that says it is immutable can only vanish.
IMMUTABLE_POLL_S: Final = 600.0
# Right after a pod was bound the Node authorizer may not know yet that we may read its objects.
_FIRST_RETRY_S = 0.2
_MAX_RETRY_S = 10.0
# A node's pods refer to some hundreds; the names in a pod's spec are anybody's, and need not exist.
MAX_OBJECTS: Final = 4096


class ObjectWatcher:
    """All objects of one site."""

    def __init__(
        self,
        api: KubeApi,
        *,
        send: Callable[[ObjectPut | ObjectForget], None],
        max_watches: int = MAX_OBJECT_WATCHES,
        rng: random.Random | None = None,
    ) -> None:
        """Wire the watcher; ``run`` does the work.

        Args:
            api: The node's identity, on connections of its own.
            send: Takes what the edge is to know.
            max_watches: Objects beyond so many are polled.
            rng: Spreads polls in time.
        """
        self._api = api
        self._send = send
        self._free_watches = max_watches
        self._rng = rng or random.Random()  # noqa: S311  # spreads polls, guards nothing
        self._refs: dict[str, frozenset[ObjectRef]] = {}
        self._users: dict[ObjectRef, set[str]] = {}
        self._found: dict[ObjectRef, ObjectPut] = {}
        self._asked: dict[ObjectRef, asyncio.Event] = {}
        self._followers: dict[ObjectRef, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        # What the edge has, or is being sent: key to revision; None without a session.
        self._held: dict[str, str] | None = None
        self._are_pods_known = False

    async def run(self) -> None:
        """Follow all objects until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for ref in self._users:
                    self._start(ref)
                # A group without tasks would end at once.
                await asyncio.Event().wait()
        finally:
            self._tasks = None
            self._followers.clear()

    # What pods refer to.

    def pod_changed(self, pod: Json) -> None:
        """Take a pod that is new, or refers to other objects than before."""
        self._set_refs(pod_uid(pod), pod_references(pod))

    def pod_deleted(self, uid: str) -> None:
        """Forget the objects that only this pod referred to."""
        self._set_refs(uid, frozenset())

    def _set_refs(self, user: str, refs: frozenset[ObjectRef]) -> None:
        """Take all that a user refers to: a pod, by its UID, or a claim, by its key."""
        old = self._refs.pop(user, frozenset())
        if refs:
            self._refs[user] = refs
        for ref in sorted(refs - old):
            self._add(ref, user)
        for ref in sorted(old - refs):
            self._drop(ref, user)

    def _add(self, ref: ObjectRef, user: str) -> None:
        if ref in self._users:
            self._users[ref].add(user)
            # What is polled may have changed just before the pod was made.
            self._asked[ref].set()
            return
        if len(self._users) >= MAX_OBJECTS:
            logger.error("pods refer to more than %d objects: %s is left out", MAX_OBJECTS, ref.key)
            return
        self._users[ref] = {user}
        self._asked[ref] = asyncio.Event()
        self._start(ref)

    def _drop(self, ref: ObjectRef, user: str) -> None:
        users = self._users.get(ref, set())
        users.discard(user)
        if users:
            return
        self._users.pop(ref, None)
        self._asked.pop(ref, None)
        self._found.pop(ref, None)
        if (follower := self._followers.pop(ref, None)) is not None:
            follower.cancel()
        self._set_refs(ref.key, frozenset())
        if self._held is not None and self._held.pop(ref.key, None) is not None:
            self._send(ObjectForget(kind=ref.kind, namespace=ref.namespace, name=ref.name))

    # What the edge has.

    def session_started(self, held: Mapping[str, str]) -> None:
        """Send what differs from what the edge holds, now and until the session ends.

        Args:
            held: Hello's objects.
        """
        self._held = dict(held)
        self._are_pods_known = False
        for put in self._found.values():
            self._offer(put)

    def all_pods_known(self) -> None:
        """Let the edge forget what no pod refers to: every pod of the site was told of."""
        self._are_pods_known = True
        self._forget_needless()

    def _forget_needless(self) -> None:
        if self._held is None or not self._are_pods_known:
            return
        needed = {ref.key for ref in self._users}
        # Only a claim that was read tells which volume is needed.
        are_volumes_known = all(ref in self._found for ref in self._users if ref.kind == CLAIM)
        for key in set(self._held) - needed:
            kind, _, rest = key.partition("/")
            namespace, _, name = rest.partition("/")
            if kind != VOLUME or are_volumes_known:
                del self._held[key]
                self._send(ObjectForget(kind=kind, namespace=namespace, name=name))

    def session_ended(self) -> None:
        """Send nothing until the next session."""
        self._held = None

    def _offer(self, put: ObjectPut) -> None:
        key = ObjectRef(kind=put.kind, namespace=put.namespace, name=put.name).key
        if self._held is not None and self._held.get(key) != put.revision:
            self._held[key] = put.revision
            self._send(put)

    def _take(self, ref: ObjectRef, found: Json | None) -> None:
        put = compute_object_put(ref, found)
        if put is None:
            logger.error("%s is too large for the sync stream, the edge does not get it", ref.key)
        elif ref in self._users:
            self._found[ref] = put
            self._offer(put)
            if ref.kind == CLAIM:
                volume = claim_volume(found) if found is not None else None
                self._set_refs(ref.key, frozenset({volume} if volume else ()))
                self._forget_needless()

    # Following one object.

    def _start(self, ref: ObjectRef) -> None:
        if self._tasks is not None:
            self._followers[ref] = self._tasks.create_task(self._follow(ref))

    async def _follow(self, ref: ObjectRef) -> None:
        if not ref.can_exist:
            self._take(ref, None)
            return
        while True:
            if KINDS[ref.kind].is_watchable and self._free_watches > 0:
                self._free_watches -= 1
                try:
                    await self._watch(ref)
                finally:
                    self._free_watches += 1
                pause_s = IMMUTABLE_POLL_S
            else:
                pause_s = await self._poll(ref)
            self._asked[ref].clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause_s * self._rng.uniform(0.9, 1.1)):
                    await self._asked[ref].wait()

    async def _watch(self, ref: ObjectRef) -> None:
        """Watch an object until it says that it never changes."""
        query = {"fieldSelector": f"metadata.name={ref.name}"}
        backoff = Backoff(first_s=_FIRST_RETRY_S, cap_s=_MAX_RETRY_S)
        watch = list_and_watch(self._api, _path(ref, with_name=False), query=query, backoff=backoff)
        async with contextlib.aclosing(watch) as events:
            async for event in events:
                match event:
                    case Listed(items=items):
                        found = items[0] if items else None
                    case Added(object=each) | Modified(object=each):
                        found = each
                    case Deleted():
                        found = None
                    case _:
                        continue
                self._take(ref, found)
                if found is not None and found.get("immutable"):
                    return

    async def _poll(self, ref: ObjectRef) -> float:
        """Get an object; return after how long to do so again."""
        backoff = Backoff(first_s=_FIRST_RETRY_S, cap_s=_MAX_RETRY_S)
        problem = LastingProblem(logger, f"{ref.key} cannot be read")
        while True:
            try:
                found: Json | None = await self._api.get(_path(ref, with_name=True))
            except NotFound:
                found = None
            except (ApiError, CredentialsError) as exc:
                problem.occurred(exc)
                await asyncio.sleep(backoff.next_delay_s())
                continue
            problem.solved()
            self._take(ref, found)
            return _poll_again_s(ref, found)


def _poll_again_s(ref: ObjectRef, found: Json | None) -> float:
    if found is None:
        return MISSING_POLL_S
    if ref.kind == CLAIM and claim_volume(found) is None:
        return UNBOUND_POLL_S
    return IMMUTABLE_POLL_S if found.get("immutable") else POLL_S


def _path(ref: ObjectRef, *, with_name: bool) -> str:
    kind = KINDS[ref.kind]
    return resource_path(
        kind.resource,
        name=ref.name if with_name else "",
        namespace=ref.namespace,
        group=kind.group,
        version=kind.version,
    )
