"""Patches the tolerations of the site's pods where no admission policy does.

For clusters older than 1.36, and off by default: a node may not patch pods, so the provider's
ServiceAccount does, which needs a right that cannot be limited to the site's pods
(manifests/components/patch-tolerations says how it is held).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from provider.kube.client import PatchType, resource_path
from provider.kube.errors import ApiError, Conflict, CredentialsError, NotFound
from provider.pods.desired_state import pod_uid
from provider.pods.tolerations import compute_tolerations
from provider.pods.work_queue import WorkQueue
from provider.telemetry.lasting_problem import LastingProblem

if TYPE_CHECKING:
    from provider.kube.client import KubeApi

logger = logging.getLogger(__name__)

Json = dict[str, Any]

# The node controller evicts after 300 s: a refusal that is mended by then costs nothing.
RETRY_S = 15.0


class TolerationPatch:
    """Gives each pod of the node unlimited tolerations of its site's silence.

    Args:
        api: The ServiceAccount's own identity.
    """

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._queue = WorkQueue()
        self._pods: dict[str, Json] = {}
        self._problem = LastingProblem(logger, "the tolerations of the site's pods")

    def pod_changed(self, pod: Json) -> None:
        """Take a pod as the watch tells of it."""
        uid = pod_uid(pod)
        if "deletionTimestamp" in pod["metadata"] or compute_tolerations(pod) is None:
            self.pod_deleted(uid)
        else:
            self._pods[uid] = pod
            self._queue.add(uid)

    def pod_deleted(self, uid: str) -> None:
        """Forget a pod."""
        self._pods.pop(uid, None)
        self._queue.discard(uid)

    async def run(self) -> None:
        """Patch until cancelled, one pod at a time."""
        try:
            while True:
                uid = await self._queue.get()
                try:
                    await self._patch(uid)
                finally:
                    self._queue.done(uid)
        finally:
            self._queue.close()

    async def _patch(self, uid: str) -> None:
        pod = self._pods.get(uid)
        wanted = None if pod is None else compute_tolerations(pod)
        if pod is None or wanted is None:
            return
        metadata = pod["metadata"]
        path = resource_path("pods", name=metadata["name"], namespace=metadata["namespace"])
        # The list is replaced as a whole: MUST be the version that it was computed from.
        precondition = {"uid": uid, "resourceVersion": metadata["resourceVersion"]}
        body = {"metadata": precondition, "spec": {"tolerations": wanted}}
        try:
            await self._api.patch(path, body, patch_type=PatchType.MERGE)
        except (NotFound, Conflict):
            # The watch tells of what it is now.
            return
        except (ApiError, CredentialsError) as exc:
            self._problem.occurred(exc)
            self._queue.add_after(uid, RETRY_S)
            return
        # The watch tells of the patched pod, which is forgotten then.
        self._problem.solved()
