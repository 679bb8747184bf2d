"""What a request for container logs asks for; pure.

Source: kubernetes pkg/kubelet/server/server.go ``getContainerLogs``, apimachinery
pkg/runtime/conversion.go, pkg/apis/core/v1/validation/validation.go ``ValidatePodLogOptions``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_runtime.api.request import ApiError
from edge_runtime.logs.log_time import TimestampParser
from tunnel.log_positions import NS_PER_S, fraction_of_limit

if TYPE_CHECKING:
    from edge_runtime.api.request import ApiRequest

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?"
    r"(?:[Zz]|[+-][0-9]{2}:[0-9]{2})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuery:
    """Which part of a log, and how.

    Attributes:
        since_s: Only what is at most this many seconds old.
        since_ns: Only what is not older, nanoseconds since the epoch; never together with
            ``since_s``.
        tail_lines: Only so many lines at the end; None means all.
        limit_bytes: Stop after so many bytes of output.
        stream: ``All``, or only ``Stdout`` or ``Stderr``.
    """

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    since_s: int | None = None
    since_ns: int | None = None
    tail_lines: int | None = None
    limit_bytes: int | None = None
    stream: str = "All"

    @property
    def is_resumed(self) -> bool:
        """Whether the time is where a follower broke off: what people ask for are whole seconds."""
        return self.since_ns is not None and self.since_ns % NS_PER_S != 0


def parse_log_query(request: ApiRequest) -> LogQuery:
    """Decode and validate the query.

    Raises:
        ApiError: 400 for what cannot be decoded, 422 for what makes no sense.
    """
    try:
        query = LogQuery(
            follow=_flag(request, "follow"),
            previous=_flag(request, "previous"),
            timestamps=_flag(request, "timestamps"),
            since_s=_number(request.first("sinceSeconds")),
            since_ns=_time_ns(request.first("sinceTime")),
            tail_lines=_tail_lines(request),
            limit_bytes=_number(request.first("limitBytes")),
            stream=request.first("stream") or "All",
        )
    except (ValueError, OverflowError) as exc:
        raise ApiError(400, '{"message": "Unable to decode query."}') from exc
    if not _is_valid(query, has_since_time=bool(request.query.get("sinceTime"))):
        raise ApiError(422, '{"message": "Invalid request."}')
    return _exact(query)


def _exact(query: LogQuery) -> LogQuery:
    """Take the limit for the nanoseconds that it carries (tunnel/log_positions.py)."""
    fraction_ns = fraction_of_limit(query.limit_bytes)
    if query.since_ns is None or fraction_ns is None:
        return query
    since_ns = query.since_ns - query.since_ns % NS_PER_S + fraction_ns
    return replace(query, since_ns=since_ns, limit_bytes=None)


def _is_valid(query: LogQuery, *, has_since_time: bool) -> bool:
    return not (
        (query.tail_lines is not None and query.tail_lines < 0)
        or (query.limit_bytes is not None and query.limit_bytes < 1)
        or (query.since_s is not None and (query.since_s < 1 or has_since_time))
        or query.stream not in {"All", "Stdout", "Stderr"}
        or (query.stream != "All" and query.tail_lines is not None)
    )


def _flag(request: ApiRequest, name: str) -> bool:
    value = request.first(name)
    return value is not None and value != "0" and value.lower() != "false"


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[+-]?[0-9]{1,19}", text) or not -(1 << 63) <= int(text) < 1 << 63:
        raise ValueError(text)
    return int(text)


def _tail_lines(request: ApiRequest) -> int | None:
    # `tail` is what old clients sent; where it stands it counts.
    legacy = request.first("tail")
    if legacy == "all":
        return None
    return _number(legacy or request.first("tailLines"))


def _time_ns(text: str | None) -> int | None:
    if not text or text == "null":
        return None
    if not _RFC3339.fullmatch(text):
        raise ValueError(text)
    time_ns = TimestampParser().parse(text.upper().replace(",", ".").encode())
    if time_ns is None:
        raise ValueError(text)
    return time_ns
