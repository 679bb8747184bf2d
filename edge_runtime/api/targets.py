"""From the names in a request to the pod, container and sandbox that the runtime knows.

Source: kubernetes pkg/kubelet/server/server.go, pkg/kubelet/kubelet_pods.go ``findContainer``.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from edge_runtime.api.request import ApiError, ApiRequest
from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.runtime.errors import NotFound, ResourceExhausted, RuntimeServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edge_runtime.objects.container import ContainerID
    from edge_runtime.objects.pod import Pod, SandboxID
    from edge_runtime.objects.runtime_status import RuntimeContainer, RuntimeSandbox

# How long the runtime keeps an unused streaming URL (cri-streaming request_cache.go): one that has
# too many of them has room again after that.
_STREAM_TOKEN_LIFETIME_S = 60


class PodSource(Protocol):
    """The desired pods (pods/pod_manager.py)."""

    def get(self, namespace: str, name: str, uid: PodUID | None = None) -> Pod | None:
        """Return the pod of that name, with that UID if one is given."""
        ...


class RuntimeInventory(Protocol):
    """What the runtime has right now (runtime/cri_client.py)."""

    async def list_containers(self, *, pod_uid: PodUID | None = None) -> Sequence[RuntimeContainer]:
        """List all containers, or those of one pod, in whatever state."""
        ...

    async def list_pod_sandboxes(
        self, *, pod_uid: PodUID | None = None
    ) -> Sequence[RuntimeSandbox]:
        """List all sandboxes, or those of one pod, in whatever state."""
        ...


@contextmanager
def runtime_errors() -> Iterator[None]:
    """Turn a failure of the runtime into the kubelet's answer.

    Source: cri-streaming pkg/streaming/errors.go ``WriteError``.

    Raises:
        ApiError: 404 for NotFound, 429 for ResourceExhausted, else 500.
    """
    try:
        yield
    except NotFound as exc:
        raise ApiError(404, str(exc)) from exc
    except ResourceExhausted as exc:
        retry_after = (("retry-after", str(_STREAM_TOKEN_LIFETIME_S)),)
        raise ApiError(429, str(exc), headers=retry_after) from exc
    except RuntimeServiceError as exc:
        raise ApiError(500, str(exc)) from exc


def find_pod(
    pods: PodSource, request: ApiRequest, *, wrong_uid_text: str = "pod does not exist"
) -> Pod:
    """Return the pod that the path names.

    Raises:
        ApiError: 404 when there is none, or when the UID in the path is another one's.
    """
    namespace, name = request.parameters["namespace"], request.parameters["pod"]
    pod = pods.get(namespace, name)
    if pod is None:
        raise ApiError(404, "pod does not exist")
    uid = request.parameters.get("uid")
    if uid and uid != pod.uid:
        # A pod of the same name: whoever asked for the other one must not get into this one.
        pod = pods.get(namespace, name, PodUID(uid))
        if pod is None:
            raise ApiError(404, wrong_uid_text)
    return pod


async def find_running_container(
    runtime: RuntimeInventory, pod: Pod, name: str
) -> ContainerID | None:
    """Return the newest running container of that name in the pod, None when none runs.

    Raises:
        ApiError: The runtime does not answer.
    """
    with runtime_errors():
        containers = await runtime.list_containers(pod_uid=pod.uid)
    running = [
        container
        for container in containers
        if container.name == name and container.state is ContainerState.RUNNING
    ]
    newest = max(running, key=lambda container: container.created_at_ns, default=None)
    return None if newest is None else newest.id


async def find_ready_sandbox(runtime: RuntimeInventory, pod: Pod) -> SandboxID:
    """Return the newest ready sandbox of the pod.

    Raises:
        ApiError: 500 with the kubelet's text when there is none, or the runtime does not answer.
    """
    with runtime_errors():
        sandboxes = await runtime.list_pod_sandboxes(pod_uid=pod.uid)
    ready = [each for each in sandboxes if each.is_ready]
    if not ready:
        raise ApiError(500, f'pod not found ("{pod.full_name}")')
    return max(ready, key=lambda sandbox: sandbox.created_at_ns).id
