"""What a query for the node's own logs asks for; pure.

Source: kubernetes pkg/kubelet/kubelet_server_journal.go ``newNodeLogQuery``, ``validate``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge_runtime.api.request import ApiError

if TYPE_CHECKING:
    from edge_runtime.api.request import ApiRequest

MAX_TAIL_LINES = 100_000
MAX_SERVICES = 4
MAX_SERVICE_LENGTH = 256
MAX_PATTERN_LENGTH = 1024
_UNSAFE = re.compile(r"[^a-zA-Z\-_.:0-9@]")
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})"
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLogQuery:
    """Which logs, and which part of them.

    Attributes:
        services: Names of units, or of files that stand for them.
        files: Paths below the log folder.
        since: Only what is not older.
        until: Only what is not newer.
        tail_lines: Only so many lines at the end.
        boot: 0 for this one, -1 for the one before.
        pattern: Only lines that match, as journalctl's ``--grep``.
    """

    services: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    tail_lines: int | None = None
    boot: int | None = None
    pattern: str = ""

    @property
    def has_options(self) -> bool:
        """Whether a part alone is asked for."""
        return bool(self.pattern) or any(
            each is not None for each in (self.since, self.until, self.tail_lines, self.boot)
        )

    def journal_options(self, services: tuple[str, ...]) -> tuple[str, ...]:
        """Return the options for journalctl; each value is bound to its option by ``=``."""
        options = ["--utc", "--no-pager", "--output=short-precise"]
        if self.since is not None:
            options.append(f"--since={_journal_time(self.since)}")
        if self.until is not None:
            options.append(f"--until={_journal_time(self.until)}")
        if self.tail_lines is not None:
            options.append(f"--lines={self.tail_lines}")
        options += [f"--unit={each}" for each in services]
        if self.pattern:
            options.append(f"--grep={self.pattern}")
        if self.boot is not None:
            options.append(f"--boot={self.boot}")
        return tuple(options)


def parse_node_log_query(request: ApiRequest) -> NodeLogQuery | None:
    """Decode and validate the query; None when nothing is asked but a path.

    Raises:
        ApiError: 400 for what cannot be decoded, 406 for what makes no sense.
    """
    queries = request.query.get("query")
    files = tuple(each for each in queries or () if "/" in each or "\\" in each)
    services = tuple(each for each in queries or () if each not in files and each.strip())
    if queries is not None and not files and not services:
        raise ApiError(400, f'query: Invalid value: "{queries[0]}": may not be empty')
    query = NodeLogQuery(
        services=services,
        files=files,
        since=_time(request, "sinceTime"),
        until=_time(request, "untilTime"),
        tail_lines=_integer(request, "tailLines"),
        boot=_integer(request, "boot"),
        pattern=request.first("pattern") or "",
    )
    if query == NodeLogQuery():
        return None
    problem = _what_problem(query) or _part_problem(query)
    if problem:
        raise ApiError(406, problem)
    return query


def _what_problem(query: NodeLogQuery) -> str | None:
    for service in query.services:
        if len(service) > MAX_SERVICE_LENGTH:
            return f"query: length must be less than {MAX_SERVICE_LENGTH}"
        if _UNSAFE.search(service) or service.startswith("-"):
            return f'query: Invalid value: "{service}": input contains unsupported characters'
    if len(query.services) > MAX_SERVICES:
        return f"query: Too many: {len(query.services)}: must have at most {MAX_SERVICES} items"
    if not query.files:
        return None if query.services else "query: Required value: cannot be empty with options"
    if query.services:
        return "query: Invalid value: cannot specify a file and service"
    if len(query.files) > 1:
        return "query: Invalid value: cannot specify more than one file"
    return "query: Invalid value: cannot specify file with options" if query.has_options else None


def _part_problem(query: NodeLogQuery) -> str | None:
    if query.since is not None and query.until is not None and query.since > query.until:
        return "untilTime: Invalid value: must be after `sinceTime`"
    if query.boot is not None and query.boot > 0:
        return f"boot: Invalid value: {query.boot}: must be less than 1"
    if query.tail_lines is not None and not 0 <= query.tail_lines <= MAX_TAIL_LINES:
        return (
            f"tailLines: Invalid value: {query.tail_lines}: "
            f"must be between 0 and {MAX_TAIL_LINES}, inclusive"
        )
    if len(query.pattern) > MAX_PATTERN_LENGTH or "\0" in query.pattern:
        return f"pattern: must be at most {MAX_PATTERN_LENGTH} characters of text"
    return None


def _time(request: ApiRequest, name: str) -> datetime | None:
    text = request.first(name)
    if not text:
        return None
    refusal = ApiError(400, f'{name}: Invalid value: "{text}": invalid time format')
    if not _RFC3339.fullmatch(text):
        raise refusal
    try:
        # What is finer than a microsecond journalctl does not know.
        return datetime.fromisoformat(re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text)).astimezone(UTC)
    except (ValueError, OverflowError) as exc:
        raise refusal from exc


def _integer(request: ApiRequest, name: str) -> int | None:
    text = request.first(name)
    if not text:
        return None
    if not _INTEGER.fullmatch(text):
        raise ApiError(400, f'{name}: Invalid value: "{text}": invalid syntax')
    return int(text)


def _journal_time(moment: datetime) -> str:
    # Whole seconds, as a kubelet asks; in UTC, as --utc has it read.
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")
