"""``/containerLogs``: what a container wrote, followed while it runs.

Source: kubernetes pkg/kubelet/server/server.go ``getContainerLogs``,
pkg/kubelet/kubelet_pods.go ``GetKubeletContainerLogs``, ``validateContainerLogStatus``.
"""

from __future__ import annotations

import logging
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from edge_runtime.api.log_query import LogQuery, parse_log_query
from edge_runtime.api.request import TEXT, ApiError
from edge_runtime.api.until_closed import until_closed
from edge_runtime.logs.cri_log import LogDecoder, LogOptions
from edge_runtime.logs.descriptor import LogReadError
from edge_runtime.logs.log_reader import read_logs
from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.runtime_status import ContainerState
from edge_runtime.runtime.errors import NotFound, RuntimeServiceError
from tunnel.log_positions import POSITIONS_HEADER, POSITIONS_VERSION, encode_frames
from tunnel.protocol import ResponseHead
from tunnel.stream import INTERNAL_ERROR

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge_runtime.api.request import ApiRequest
    from edge_runtime.api.targets import PodSource
    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import PodUID
    from edge_runtime.objects.runtime_status import ContainerStatus
    from tunnel.stream import Stream

logger = logging.getLogger(__name__)

_NS_PER_S = 1_000_000_000
_PLAIN = ResponseHead(status=200, headers=(("content-type", TEXT),))
_POSITIONED = ResponseHead(
    status=200, headers=(("content-type", TEXT), (POSITIONS_HEADER, POSITIONS_VERSION))
)
_STATUS_LISTS = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
_WAITING_TEXTS = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


class NewestStatuses(Protocol):
    """What the edge holds of each pod's status (status/status_manager.py)."""

    def get(self, uid: PodUID) -> Json | None:
        """Return the newest status of a pod, None when it has none yet."""
        ...


class LogsRuntime(Protocol):
    """What logs need of the runtime (runtime/cri_client.py)."""

    async def container_status(self, container_id: ContainerID) -> ContainerStatus:
        """Describe one container."""
        ...


class ContainerLogsHandler:
    """Answers ``/containerLogs/{namespace}/{pod}/{container}``."""

    def __init__(
        self,
        *,
        pods: PodSource,
        statuses: NewestStatuses,
        runtime: LogsRuntime,
        wall_clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._pods = pods
        self._statuses = statuses
        self._runtime = runtime
        self._wall_clock_ns = wall_clock_ns

    async def handle(self, request: ApiRequest, stream: Stream) -> None:
        """Send what the query asks for; with ``follow`` until the container ended.

        The head goes out at once, even if there is no output yet. A log that cannot be read any
        more resets the stream, so that a part of it is never taken for the whole.

        Raises:
            ApiError: The query, pod, container or its state allow no logs.
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        query = parse_log_query(request)
        container_id = self._find(request, previous=query.previous)
        path = await self._log_path(container_id)
        has_positions = query.follow and (POSITIONS_HEADER, POSITIONS_VERSION) in request.headers
        copy = self._copy(stream, path, query, container_id, has_positions=has_positions)
        await until_closed(stream, copy)

    def _find(self, request: ApiRequest, *, previous: bool) -> str:
        """Return which container's log is meant, as ``containerd://<id>``."""
        namespace, name, container = (
            request.parameters[key] for key in ("namespace", "pod", "container")
        )
        for value, text in ((name, "podID"), (container, "container name")):
            if not value:
                raise ApiError(400, f'{{"message": "Missing {text}."}}')
        pod = self._pods.get(namespace, name)
        if pod is None:
            raise ApiError(404, f'pod "{name}" does not exist')
        if pod.container(container) is None:
            raise ApiError(404, f'container "{container}" not found in pod "{name}"')
        status = self._statuses.get(pod.uid)
        return find_logged_container(
            pod.status if status is None else status,
            pod_name=name,
            container=container,
            previous=previous,
        )

    async def _log_path(self, container_id: str) -> str:
        bare_id = ContainerID(container_id.partition("://")[2])
        try:
            return (await self._runtime.container_status(bare_id)).log_path
        except RuntimeServiceError as exc:
            text = f"unable to retrieve container logs for {container_id}"
            raise ApiError(400, text) from exc

    async def _copy(
        self,
        stream: Stream,
        path: str,
        query: LogQuery,
        container_id: str,
        *,
        has_positions: bool,
    ) -> None:
        bare_id = ContainerID(container_id.partition("://")[2])
        options = self._options(query)
        decoder = LogDecoder(options)
        pieces = read_logs(
            path, options, is_running=lambda: self._is_running(bare_id), decoder=decoder
        )
        async with aclosing(pieces):
            try:
                await anext(pieces)
            except LogReadError as exc:
                # Before anything is answered: what is not there has a status of its own.
                raise ApiError(400, str(exc)) from exc
            await stream.respond(_POSITIONED if has_positions else _PLAIN)
            try:
                async for piece in pieces:
                    if has_positions:
                        piece = encode_frames(piece, position_ns=decoder.position_ns)
                    await stream.write(piece)
            except LogReadError as exc:
                logger.warning("log cannot be read", extra={"path": path, "reason": exc.reason})
                stream.reset(INTERNAL_ERROR, str(exc))
                return
        await stream.close_write()

    async def _is_running(self, container_id: ContainerID) -> bool:
        try:
            status = await self._runtime.container_status(container_id)
        except NotFound:
            return False
        except RuntimeServiceError as exc:
            # A runtime that restarts ends no container, and so no log.
            logger.debug("runtime does not answer", extra={"error": str(exc)})
            return True
        return status.state is ContainerState.RUNNING

    def _options(self, query: LogQuery) -> LogOptions:
        since_ns: int | None = None
        if query.since_s is not None:
            since_ns = self._wall_clock_ns() - query.since_s * _NS_PER_S
        else:
            since_ns = query.since_ns
        return LogOptions(
            follow=query.follow,
            timestamps=query.timestamps,
            since_ns=since_ns,
            is_resumed=query.is_resumed,
            tail_lines=query.tail_lines,
            limit_bytes=query.limit_bytes,
            stream=None if query.stream == "All" else query.stream.lower(),
        )


def find_logged_container(status: Json, *, pod_name: str, container: str, previous: bool) -> str:
    """Return the ID of the container whose log is meant: the running one, else the last.

    Raises:
        ApiError: 400 with the kubelet's text when there is none.
    """
    named = f'container "{container}" in pod "{pod_name}"'
    statuses = [each for kind in _STATUS_LISTS for each in status.get(kind) or ()]
    found = next((each for each in statuses if each.get("name") == container), None)
    if found is None:
        raise ApiError(400, f"{named} is not available")
    state = found.get("state") or {}
    last = (found.get("lastState") or {}).get("terminated")
    last_id = str((last or {}).get("containerID") or "")
    if previous:
        if not last_id:
            raise ApiError(400, f"previous terminated {named} not found")
        return last_id
    if state.get("running") is not None:
        return str(found.get("containerID") or "")
    terminated = state.get("terminated")
    if terminated is not None or last is not None:
        container_id = str((terminated or {}).get("containerID") or "") or last_id
        if not container_id:
            raise ApiError(400, f"{named} is terminated")
        return container_id
    raise ApiError(400, f"{named} {_waiting_text(state.get('waiting'))}")


def _waiting_text(waiting: Json | None) -> str:
    if waiting is None:
        return "is waiting to start - no logs yet"
    reason = str(waiting.get("reason") or "")
    return f"is waiting to start: {_WAITING_TEXTS.get(reason, reason)}"
