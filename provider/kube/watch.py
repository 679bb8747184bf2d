r"""List, then watch, for ever: a complete picture first, then its changes, whatever breaks.

          list ──ok──> Listed ──> watch ──> Added | Modified | Deleted | Bookmark
           ^  \                    │ │
           │   └─error: back-off    │ └─ended or broke: watch again from the last version
           └────────410 Gone────────┘

Source: client-go tools/cache/reflector.go, ListAndWatch; KEP-956 (bookmarks).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from provider.kube.errors import ApiError, CredentialsError, Gone, Unavailable, api_error
from provider.telemetry.lasting_problem import LastingProblem

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from provider.kube.client import KubeApi

logger = logging.getLogger(__name__)

Json = dict[str, Any]

PAGE_SIZE: Final = 500
# client-go asks for 5 to 10 minutes, so that watches spread over API servers in time.
_MIN_WATCH_S = 300.0
# How long after the server's own end of a watch the client still waits for it.
_OVERTIME_S = 30.0
# The longest Retry-After that is heeded: a wild value must not blind the provider for hours.
_MAX_RETRY_AFTER_S = 60.0
# A watch that lasted this long was a good one: the next failure starts the back-off anew.
_GOOD_WATCH_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """All objects that exist; whatever was known and is not here is gone."""

    items: list[Json]
    resource_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """An object came into the selection."""

    object: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Modified:
    """An object changed; it may have been unknown."""

    object: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """An object left the selection; this is its last state."""

    object: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Bookmark:
    """Nothing changed up to this version."""

    resource_version: str


WatchEvent = Listed | Added | Modified | Deleted | Bookmark
_CHANGES: dict[str, type[Added | Modified | Deleted]] = {
    "ADDED": Added,
    "MODIFIED": Modified,
    "DELETED": Deleted,
}


@dataclass(slots=True, kw_only=True)
class Backoff:
    """Full-jitter exponential back-off.

    Attributes:
        first_s: Upper bound of the first delay.
        cap_s: Upper bound of all delays.
        rng: Source of the jitter.
    """

    first_s: float = 0.5
    cap_s: float = 30.0
    rng: random.Random = field(default_factory=random.Random)
    failures: int = 0

    def next_delay_s(self) -> float:
        """Return the next delay, never less than a tenth of its upper bound."""
        # 2**16 * first_s is beyond any cap; without the bound the power itself would grow.
        bound = min(self.cap_s, self.first_s * 2.0 ** min(self.failures, 16))
        self.failures += 1
        return self.rng.uniform(bound / 10, bound)

    def reset(self) -> None:
        """Start anew after a success."""
        self.failures = 0


async def list_and_watch(
    api: KubeApi,
    path: str,
    *,
    query: Mapping[str, str] | None = None,
    backoff: Backoff | None = None,
) -> AsyncGenerator[WatchEvent, None]:
    """Yield ``Listed`` first, then every change; ``Listed`` again after a 410.

    Never ends and never raises ``ApiError``: while the API server is away it waits, which it says
    in the log. Close it with ``contextlib.aclosing``; cancelling it leaves no connection behind.

    Args:
        api: The identity to watch as.
        path: Of the collection.
        query: Selectors, for the list and the watch alike.
        backoff: Delays after failures.
    """
    backoff = backoff or Backoff()
    selectors = dict(query or {})
    problem = LastingProblem(logger, f"watch of {path}")
    version = ""
    while True:
        try:
            if not version:
                listed = await list_all(api, path, query=selectors)
                problem.solved()
                version = listed.resource_version
                yield listed
            started = asyncio.get_running_loop().time()
            since = {**selectors, "resourceVersion": version}
            async with contextlib.aclosing(_watch(api, path, since, backoff)) as events:
                async for event in events:
                    problem.solved()
                    version = _version_of(event)
                    yield event
            if asyncio.get_running_loop().time() - started >= _GOOD_WATCH_S:
                backoff.reset()
                problem.solved()
                continue
            delay_s = backoff.next_delay_s()
        except Gone:
            logger.info("watch of %s is too old at version %s, listing again", path, version)
            version = ""
            delay_s = backoff.next_delay_s()
        except (ApiError, CredentialsError) as exc:
            asked_s = getattr(exc, "retry_after_s", None) or 0.0
            delay_s = max(backoff.next_delay_s(), min(asked_s, _MAX_RETRY_AFTER_S))
            problem.occurred(exc)
        await asyncio.sleep(delay_s)


async def watch_object(
    api: KubeApi, path: str, *, name: str, backoff: Backoff | None = None
) -> AsyncGenerator[Added | Modified | Deleted, None]:
    """Yield one object as it is now, then every change, for ever; after a gap as it is then.

    It needs the verb ``watch`` alone, which RBAC can limit to one name: a watch from no version
    begins with what there is. An object that vanished during a gap is not told of.

    Ends and fails like ``list_and_watch``.

    Args:
        api: The identity to watch as.
        path: Of the collection.
        name: Of the object.
        backoff: Delays after failures.
    """
    backoff = backoff or Backoff()
    problem = LastingProblem(logger, f"watch of {path}/{name}")
    while True:
        started = asyncio.get_running_loop().time()
        try:
            query = {"fieldSelector": f"metadata.name={name}"}
            async with contextlib.aclosing(_watch(api, path, query, backoff)) as events:
                async for event in events:
                    problem.solved()
                    if isinstance(event, Added | Modified | Deleted):
                        yield event
            if asyncio.get_running_loop().time() - started >= _GOOD_WATCH_S:
                backoff.reset()
                problem.solved()
                continue
            delay_s = backoff.next_delay_s()
        except (ApiError, CredentialsError) as exc:
            asked_s = getattr(exc, "retry_after_s", None) or 0.0
            delay_s = max(backoff.next_delay_s(), min(asked_s, _MAX_RETRY_AFTER_S))
            problem.occurred(exc)
        await asyncio.sleep(delay_s)


async def list_all(api: KubeApi, path: str, *, query: Mapping[str, str]) -> Listed:
    """List all pages as of one moment.

    Without a resource version the list is read through a quorum, so that a provider that has just
    started never acts on an older picture than its predecessor's.

    Args:
        api: The identity to list as.
        path: Of the collection.
        query: Selectors.

    Raises:
        ApiError: A page could not be had.
        CredentialsError: There is no valid credential.
    """
    items: list[Json] = []
    paging = {**query, "limit": str(PAGE_SIZE)}
    while True:
        page = await api.list(path, query=paging)
        items += page.get("items") or ()
        metadata = page.get("metadata") or {}
        if not metadata.get("continue"):
            return Listed(items=items, resource_version=str(metadata.get("resourceVersion", "")))
        paging["continue"] = metadata["continue"]


async def _watch(
    api: KubeApi, path: str, query: dict[str, str], backoff: Backoff
) -> AsyncGenerator[WatchEvent, None]:
    watch_s = int(_MIN_WATCH_S * backoff.rng.uniform(1, 2))
    query |= {"watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(watch_s)}
    timeout_s = watch_s + _OVERTIME_S
    async with api.watch_lines(path, query=query, timeout_s=timeout_s) as lines:
        async for line in lines:
            if line.strip():
                yield _parse_event(line, path)
                backoff.reset()


def _parse_event(line: bytes, path: str) -> WatchEvent:
    try:
        event = msgspec.json.decode(line)
        kind, body = event["type"], event["object"]
        version = str(body["metadata"]["resourceVersion"]) if kind != "ERROR" else ""
    except (msgspec.DecodeError, TypeError, KeyError) as exc:
        raise Unavailable(f"watch {path}: a line is no event: {exc!r}", status=200) from exc
    if kind == "ERROR":
        # The head said 200 long ago; the Status object is the true answer.
        message = f"watch {path}: {body.get('message', 'error')}"
        status, reason = int(body.get("code") or 500), str(body.get("reason") or "")
        raise api_error(message, status=status, reason=reason)
    if kind == "BOOKMARK":
        return Bookmark(resource_version=version)
    if kind not in _CHANGES:
        raise Unavailable(f"watch {path}: event of unknown type {kind!r}", status=200)
    return _CHANGES[kind](object=body)


def is_older_version(version: str, than: str) -> bool:
    """Whether one resource version of an object is older than another one.

    Versions that are no numbers are never older: what cannot be compared is taken as new.

    Source: KEP-5504, comparable resource versions.
    """
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)


def _version_of(event: WatchEvent) -> str:
    if isinstance(event, Listed | Bookmark):
        return event.resource_version
    return str(event.object["metadata"]["resourceVersion"])
