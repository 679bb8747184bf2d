"""Keeps the Services that containers' environments name, and brings them to the edge.

    a pod is in a namespace ──> all its Services, and default/kubernetes
    none is any more ──> a ServicesPut that is not complete: the edge forgets them

All of ``default`` is kept here even when no pod is in it, and only ``kubernetes`` told: the rest
goes out ahead of the first pod, which would else start without it. At most MAX_SERVICE_WATCHES
namespaces are watched; the others are polled.

Source: kubernetes pkg/kubelet/kubelet_pods.go ``getServiceEnvVarMap``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from typing import TYPE_CHECKING, Any, Final

import msgspec

from provider.kube.client import MAX_SERVICE_WATCHES, resource_path
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
from provider.pods.desired_objects import compute_services_put
from provider.pods.desired_state import pod_uid
from provider.telemetry.lasting_problem import LastingProblem
from tunnel.sync import ServicesPut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provider.kube.client import KubeApi

logger = logging.getLogger(__name__)

Json = dict[str, Any]

DEFAULT_NAMESPACE: Final = "default"
# Every container gets this one's variables, whatever its namespace.
MASTER_SERVICE: Final = "kubernetes"
POLL_S: Final = 30.0
# Opens the revision of what is not all that there is.
_PARTIAL = "partial/"
_FIRST_RETRY_S = 0.2
_MAX_RETRY_S = 10.0


class ServiceWatcher:
    """The Services of all namespaces that pods of one site are in."""

    def __init__(
        self,
        api: KubeApi,
        *,
        send: Callable[[ServicesPut], None],
        max_watches: int = MAX_SERVICE_WATCHES,
        rng: random.Random | None = None,
    ) -> None:
        """Wire the watcher; ``run`` does the work.

        Args:
            api: The node's identity.
            send: Takes what the edge is to know.
            max_watches: Namespaces beyond so many are polled.
            rng: Spreads polls in time.
        """
        self._api = api
        self._send = send
        self._free_watches = max_watches
        self._rng = rng or random.Random()  # noqa: S311  # spreads polls, guards nothing
        self._namespaces: dict[str, str] = {}
        self._pods: dict[str, set[str]] = {}
        self._found: dict[str, Mapping[str, Json]] = {}
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        # What the edge has, or is being sent: namespace to revision; None without a session.
        self._held: dict[str, str] | None = None

    async def run(self) -> None:
        """Follow the Services until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for namespace in self._needed():
                    self._start(namespace)
                # A group without tasks would end at once.
                await asyncio.Event().wait()
        finally:
            self._tasks = None
            self._followers.clear()

    # Where pods are.

    def pod_changed(self, pod: Json) -> None:
        """Take a pod that may be new; what it needs is sent at once, if it is known."""
        uid = pod_uid(pod)
        if uid in self._namespaces:
            return
        namespace = str(pod["metadata"].get("namespace") or DEFAULT_NAMESPACE)
        before = self._needed()
        self._namespaces[uid] = namespace
        self._pods.setdefault(namespace, set()).add(uid)
        for each in self._needed() - before:
            self._start(each)
        self._offer(namespace)

    def pod_deleted(self, uid: str) -> None:
        """Forget the Services that only this pod needed."""
        namespace = self._namespaces.pop(uid, None)
        if namespace is None:
            return
        before = self._needed()
        self._pods[namespace].discard(uid)
        if not self._pods[namespace]:
            del self._pods[namespace]
        for each in before - self._needed():
            self._stop(each)
            self._forget(each)
        self._offer(namespace)

    def _needed(self) -> set[str]:
        return {*self._pods, DEFAULT_NAMESPACE} if self._pods else set()

    # What the edge has.

    def session_started(self, held: Mapping[str, str]) -> None:
        """Send what differs from what the edge holds, now and until the session ends.

        Args:
            held: Hello's services.
        """
        self._held = dict(held)
        for namespace in self._needed():
            self._offer(namespace)

    def all_pods_known(self) -> None:
        """Let the edge forget namespaces without pods: every pod of the site was told of."""
        for namespace in set(self._held or ()) - self._needed():
            self._forget(namespace)

    def session_ended(self) -> None:
        """Send nothing until the next session."""
        self._held = None

    def _offer(self, namespace: str) -> None:
        if self._held is None or namespace not in self._needed():
            return
        held = self._held.get(namespace, "")
        services = self._found.get(namespace)
        if services is None:
            # A pod in ``default`` MUST NOT take the one Service that the edge has for all.
            if held.startswith(_PARTIAL) and namespace in self._pods:
                self._forget(namespace)
            return
        put = self._put(namespace, services)
        if held != put.revision:
            self._held[namespace] = put.revision
            self._send(put)

    def _put(self, namespace: str, services: Mapping[str, Json]) -> ServicesPut:
        if namespace in self._pods:
            return compute_services_put(namespace, services.values())
        masters = [each for name, each in services.items() if name == MASTER_SERVICE]
        put = compute_services_put(namespace, masters)
        return msgspec.structs.replace(put, revision=_PARTIAL + put.revision)

    def _forget(self, namespace: str) -> None:
        if self._held is not None and self._held.pop(namespace, None) is not None:
            self._send(ServicesPut(namespace=namespace, services=[], complete=False))

    # Following one namespace.

    def _start(self, namespace: str) -> None:
        if self._tasks is not None:
            self._followers[namespace] = self._tasks.create_task(self._follow(namespace))

    def _stop(self, namespace: str) -> None:
        self._found.pop(namespace, None)
        if (follower := self._followers.pop(namespace, None)) is not None:
            follower.cancel()

    async def _follow(self, namespace: str) -> None:
        if self._free_watches <= 0:
            await self._poll(namespace)
        self._free_watches -= 1
        try:
            await self._watch(namespace)
        finally:
            self._free_watches += 1

    async def _watch(self, namespace: str) -> None:
        services: dict[str, Json] = {}
        watch = list_and_watch(self._api, _path(namespace), backoff=_backoff(self._rng))
        async with contextlib.aclosing(watch) as events:
            async for event in events:
                match event:
                    case Listed(items=items):
                        services = {_name(each): each for each in items}
                    case Added(object=each) | Modified(object=each):
                        services[_name(each)] = each
                    case Deleted(object=each):
                        services.pop(_name(each), None)
                    case _:
                        continue
                self._take(namespace, services)

    async def _poll(self, namespace: str) -> None:
        """List the Services now and then, until there is a watch to be had."""
        backoff = _backoff(self._rng)
        problem = LastingProblem(logger, f"the Services of {namespace} cannot be read")
        while self._free_watches <= 0:
            try:
                listed = await list_all(self._api, _path(namespace), query={})
            except (ApiError, CredentialsError) as exc:
                problem.occurred(exc)
                await asyncio.sleep(backoff.next_delay_s())
                continue
            problem.solved()
            backoff.reset()
            self._take(namespace, {_name(each): each for each in listed.items})
            await asyncio.sleep(POLL_S * self._rng.uniform(0.9, 1.1))

    def _take(self, namespace: str, services: Mapping[str, Json]) -> None:
        self._found[namespace] = services
        self._offer(namespace)


def _backoff(rng: random.Random) -> Backoff:
    return Backoff(first_s=_FIRST_RETRY_S, cap_s=_MAX_RETRY_S, rng=rng)


def _name(service: Json) -> str:
    return str(service["metadata"]["name"])


def _path(namespace: str) -> str:
    return resource_path("services", namespace=namespace)
