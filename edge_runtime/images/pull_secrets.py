"""The pull secrets of a pod, as far as the provider brought them.

Source: kubernetes pkg/kubelet/kubelet_pods.go ``getPullSecretsForPod``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunnel.sync import object_key

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import Pod
    from edge_runtime.store.object_store import ObjectStore

# Secrets travel with the pod. What has not come by then may be refused to the node for longer, or
# the link may be down.
PATIENCE_S = 10.0


class PullSecrets:
    """Reads pull secrets."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def of(self, pod: Pod) -> tuple[list[Json], list[str]]:
        """Return a pod's pull secrets, and the names of those that cannot be had; both in order.

        Waits at most PATIENCE_S for what was not told yet. Cancelling is safe.
        """
        references = pod.spec.get("imagePullSecrets") or ()
        names = [str(each["name"]) for each in references if each.get("name")]
        keys = [object_key(kind="Secret", namespace=pod.namespace, name=name) for name in names]
        await self._objects.wait_known(keys, timeout_s=PATIENCE_S)
        found: list[Json] = []
        failed: list[str] = []
        for name in names:
            stored = self._objects.get(kind="Secret", namespace=pod.namespace, name=name)
            if stored is None or stored.is_missing:
                failed.append(name)
            else:
                found.append(stored.json)
        return found, failed
