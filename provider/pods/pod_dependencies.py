"""What pods need beside themselves, in one piece: objects, Services, tokens.

PodController tells of pods and sessions, and of each pod before it sends it: so the edge has what a
pod needs as early as it can, and nothing that no pod needs.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from provider.pods.object_watcher import ObjectWatcher
from provider.pods.service_tokens import ServiceTokens
from provider.pods.service_watcher import ServiceWatcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from provider.kube.client import KubeApi
    from tunnel.sync import FromProvider, Hello, TokenWant

Json = dict[str, Any]


class PodDependencies:
    """Everything that the pods of one site depend on."""

    def __init__(self, api: KubeApi, *, send: Callable[[FromProvider], None]) -> None:
        """Wire them; ``run`` does the work.

        Args:
            api: The node's identity, on connections of its own.
            send: Takes what the edge is to know.
        """
        self._objects = ObjectWatcher(api, send=send)
        self._services = ServiceWatcher(api, send=send)
        self._tokens = ServiceTokens(api, send=send)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for part in (self._objects, self._services, self._tokens):
                tasks.create_task(part.run())

    def pod_changed(self, pod: Json) -> None:
        """Take a pod that is new, or changed."""
        self._services.pod_changed(pod)
        self._objects.pod_changed(pod)
        self._tokens.pod_changed(pod)

    def pod_deleted(self, uid: str) -> None:
        """Let go of what only this pod needed."""
        self._services.pod_deleted(uid)
        self._objects.pod_deleted(uid)
        self._tokens.pod_deleted(uid)

    def session_started(self, hello: Hello) -> None:
        """Send what differs from what the edge holds, now and until the session ends."""
        self._services.session_started(hello.services)
        self._objects.session_started(hello.objects)

    def all_pods_known(self) -> None:
        """Let the edge forget what no pod needs: every pod of the site was told of."""
        self._services.all_pods_known()
        self._objects.all_pods_known()

    def session_ended(self) -> None:
        """Send nothing until the next session."""
        self._services.session_ended()
        self._objects.session_ended()

    def token_wanted(self, want: TokenWant) -> None:
        """Answer, soon, what the edge wants."""
        self._tokens.wanted(want)
