"""Which handler answers which path: the kubelet's own paths, served to whoever holds the tunnel.

Source: kubernetes pkg/kubelet/server/server.go ``InstallAuthRequiredHandlers``.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from edge_runtime.api.request import ApiError, ApiRequest, respond_bytes
from edge_runtime.telemetry.current_trace import belonging_to
from tunnel.protocol import METHOD_HEADER
from tunnel.trace_context import parse_trace_context
from tunnel.tracing import NoTracer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tunnel.protocol import RequestHead
    from tunnel.stream import Stream
    from tunnel.tracing import Tracer

logger = logging.getLogger(__name__)

Handler = Callable[[ApiRequest, "Stream"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Route:
    """One path pattern.

    Attributes:
        pattern: ``/exec/{namespace}/{pod}/{container}``; a slash at the end makes no difference.
        methods: Methods that are let through; CONNECT for a stream that no HTTP/1.1 client asked
        for. handler: Answers, or raises ApiError before it answered anything.
    """

    pattern: str
    methods: tuple[str, ...]
    handler: Handler


class Router:
    """Dispatches the streams that arrive through the tunnel.

    Raises:
        ValueError: A path could be that of two routes.
    """

    def __init__(self, routes: Iterable[Route], *, tracer: Tracer | None = None) -> None:
        self._tracer = tracer or NoTracer()
        # By first segment and length.
        self._routes: dict[tuple[str, int], list[tuple[Route, tuple[str, ...]]]] = {}
        for route in routes:
            segments = tuple(route.pattern.strip("/").split("/"))
            alike = self._routes.setdefault((segments[0], len(segments)), [])
            if any(_may_be_both(segments, other) for _, other in alike):
                raise ValueError(f"two routes have the shape of {route.pattern}")
            alike.append((route, segments))

    async def handle(self, stream: Stream) -> None:
        """Answer one stream; one failing request ends only itself.

        Raises:
            StreamReset: The peer gave the request up.
            SessionClosed: The session is over.
        """
        try:
            handler, request = self.resolve(stream.request)
            parent = parse_trace_context(request.headers)
            name = f"{request.method} {request.pattern}"
            with (
                self._tracer.span(name, parent=parent, is_server=True) as context,
                belonging_to(context),
            ):
                await handler(request, stream)
        except ApiError as error:
            logger.info(
                "request refused",
                extra={
                    "path": stream.request.path.partition("?")[0],
                    "status": error.status,
                    "text": error.text,
                },
            )
            await respond_bytes(
                stream, error.text.encode(), status=error.status, headers=error.headers
            )

    def resolve(self, head: RequestHead) -> tuple[Handler, ApiRequest]:
        """Find the handler and decode the request for it.

        Raises:
            ApiError: 400 for what cannot be decoded, 404 for an unknown path, 405 for a method.
        """
        raw_path, _, raw_query = head.path.partition("?")
        # Split BEFORE decoding: an encoded slash belongs to its segment and never makes a new one.
        segments = raw_path.removeprefix("/").removesuffix("/").split("/")
        route, names = self._find(segments)
        method = _method(head)
        if method not in route.methods:
            allow = ", ".join(route.methods)
            raise ApiError(405, "405: Method Not Allowed", headers=(("allow", allow),))
        return route.handler, ApiRequest(
            method=method,
            pattern=route.pattern,
            parameters=_parameters(names, segments),
            query=parse_query(raw_query),
            headers=head.headers,
            protocol=head.protocol,
        )

    def _find(self, segments: Sequence[str]) -> tuple[Route, tuple[str, ...]]:
        for route, names in self._routes.get((segments[0], len(segments)), ()):
            if all(
                _is_name(name) or name == part for name, part in zip(names, segments, strict=True)
            ):
                return route, names
        raise ApiError(404, "404: Page Not Found")


def _may_be_both(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether a path may have the shape of both, which are equally long."""
    return all(
        _is_name(mine) or _is_name(theirs) or mine == theirs
        for mine, theirs in zip(one, other, strict=True)
    )


def _is_name(segment: str) -> bool:
    return segment.startswith("{")


def parse_query(raw: str) -> dict[str, tuple[str, ...]]:
    """Decode a query string, every value once.

    Raises:
        ApiError: 400 where the bytes are not UTF-8: a command must never be changed on its way.
    """
    query: dict[str, tuple[str, ...]] = {}
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, errors="strict")
    except ValueError as exc:
        raise ApiError(400, "the query is not UTF-8") from exc
    for name, value in pairs:
        query[name] = (*query.get(name, ()), value)
    return query


def _method(head: RequestHead) -> str:
    if head.protocol is None:
        return head.method
    originals = [value for name, value in head.headers if name == METHOD_HEADER]
    return originals[0] if len(originals) == 1 else head.method


def _parameters(names: tuple[str, ...], segments: list[str]) -> Mapping[str, str]:
    parameters: dict[str, str] = {}
    for name, segment in zip(names, segments, strict=True):
        if not _is_name(name):
            continue
        try:
            parameters[name[1:-1]] = unquote(segment, errors="strict")
        except UnicodeDecodeError as exc:
            raise ApiError(400, "the path is not UTF-8") from exc
    return parameters
