"""One request to the edge's API as its handlers see it, and the plain answers they give.

Errors are plain text with the kubelet's own words: kubectl and the API server show them unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tunnel.protocol import ResponseHead

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tunnel.stream import Stream

TEXT = "text/plain; charset=utf-8"
JSON = "application/json"


class ApiError(Exception):
    """An answer other than success, decided before anything was answered.

    Attributes:
        status: HTTP status.
        text: The whole body.
        headers: Further header fields, lower-case.
    """

    def __init__(
        self, status: int, text: str, *, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text
        self.headers = headers


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """A routed request.

    Attributes:
        method: The caller's own method, for an upgrade that of ``edgelet-method``.
        pattern: The route's.
        parameters: Parts of the path by name, percent-decoded exactly once.
        query: Query parameters with all their values, decoded.
        headers: End-to-end header fields, lower-case names, repeats kept.
        protocol: The Upgrade token, None when no upgrade is asked for.
    """

    method: str
    pattern: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headers: tuple[tuple[str, str], ...] = ()
    protocol: str | None = None

    def first(self, name: str) -> str | None:
        """Return the first value of a query parameter, None when it is absent."""
        values = self.query.get(name)
        return values[0] if values else None


async def respond_bytes(
    stream: Stream,
    body: bytes,
    *,
    status: int = 200,
    content_type: str = TEXT,
    headers: tuple[tuple[str, str], ...] = (),
) -> None:
    """Answer with a whole body and end the stream.

    Raises:
        StreamReset: The peer gave the request up.
        SessionClosed: The session is over.
    """
    head = ResponseHead(
        status=status,
        headers=(("content-type", content_type), ("content-length", str(len(body))), *headers),
    )
    await stream.respond(head, end=not body)
    if body:
        await stream.write(body)
        await stream.close_write()
