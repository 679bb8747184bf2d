"""An API server in one aiohttp application: raw JSON objects, versions, watches, and faults.

It speaks what the provider uses of the real protocol: GET, LIST with field selectors, paging,
WATCH with bookmarks and 410, POST, PUT (compare-and-swap by resource version), PATCH (a strategic
merge of what Node and Pod need), DELETE with preconditions, token and access reviews, TokenRequest,
and Status objects for every refusal. Identities are recorded, not enforced: what a node may do is
proved on the real API server (tests/e2e).
"""

from __future__ import annotations

import asyncio
import copy
import functools
import inspect
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import msgspec
from aiohttp import web

from provider.kube.client import KubeClient
from provider.kube.credentials import ClusterAccess, StaticToken
from tests.fakes.api_paths import is_in, is_selected, split_path
from tests.fakes.api_reviews import Reviews
from tests.fakes.issued_tokens import IssuedTokens
from tests.fakes.site_objects import refused_secret
from tests.fakes.strategic_merge import merge
from tunnel.identity import SiteName

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Json = dict[str, Any]

_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}
_CLUSTER_SCOPED = {"nodes", "namespaces"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it came.

    Attributes:
        verb: As the authorizer calls it: get, list, watch, create, update, patch, delete.
        path: Without the query.
        user: Whom the caller acts as; "" for itself.
        body: Decoded JSON, {} without one.
        time: The event loop's.
    """

    verb: str
    path: str
    user: str
    body: Json
    time: float


@dataclass(slots=True, kw_only=True)
class _Watcher:
    collection: str
    query: dict[str, str]
    events: asyncio.Queue[Json | None] = field(default_factory=asyncio.Queue)


class ApiRefusal(Exception):
    """Becomes a Status object."""

    def __init__(self, code: int, message: str = "refused", reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason or _REASONS.get(code, "")


class FakeAPIServer:
    """Serves while its ``async with`` lasts; the test reads and writes objects directly."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.objects: dict[tuple[str, str], Json] = {}
        self.log: list[tuple[int, str, Json]] = []
        self.compacted_version = 0
        self.page_size = 500
        self.reviews = Reviews()
        self.tokens = IssuedTokens()
        self.max_concurrent = 0
        # Fields of a status that a server of another version would have.
        self.unknown_status_fields: frozenset[str] = frozenset()
        self._concurrent = 0
        self._faults: list[tuple[str, str, int | None]] = []
        self._lost_answers: list[tuple[str, str]] = []
        self._held: dict[str, asyncio.Event] = {}
        self._version = itertools.count(100)
        self._uid = itertools.count(1)
        self._watchers: list[_Watcher] = []
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        """Listen on a port of loopback."""
        application = web.Application(client_max_size=16 << 20)
        application.router.add_route("*", "/{tail:.*}", self._handle)
        # A watch ends with its connection, not after a time of grace.
        self._runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End all watches and stop."""
        self.end_watches()
        for event in self._held.values():
            event.set()
        if self._runner:
            await self._runner.cleanup()

    def client(self, site: str = "site-a") -> KubeClient:
        """Return a client of this server."""
        access = ClusterAccess(server=self.url, tls=None, tokens=StaticToken(value="secret"))
        return KubeClient(access, site=SiteName(site))

    # What a test does to the cluster.

    def put(self, collection: str, body: Json) -> Json:
        """Create or replace an object behind everyone's back; ``collection`` as in its path."""
        metadata = body.setdefault("metadata", {})
        key = (collection, metadata["name"])
        kind = "MODIFIED" if key in self.objects else "ADDED"
        known = self.objects.get(key, {}).get("metadata", {})
        metadata.setdefault("uid", known.get("uid") or f"uid-{next(self._uid)}")
        return self._commit(kind, collection, body)

    def change(self, collection: str, name: str, patch: Json) -> Json:
        """Merge a patch into an object behind everyone's back."""
        return self.put(collection, merge(self.objects[collection, name], patch))

    def remove(self, collection: str, name: str) -> None:
        """Delete an object behind everyone's back."""
        self._commit("DELETED", collection, self.objects.pop((collection, name)), stored=False)

    def fail(self, verb: str, path_part: str, code: int | None, *, times: int = 1) -> None:
        """Refuse the next requests of a kind with this status; None cuts their connection."""
        self._faults += [(verb, path_part, code)] * times

    def lose_answer(self, verb: str, path_part: str) -> None:
        """Carry out the next request of a kind, and cut its connection instead of an answer."""
        self._lost_answers.append((verb, path_part))

    def heal(self) -> None:
        """Forget the refusals that were not asked for yet."""
        self._faults.clear()

    def hold(self, path_part: str) -> asyncio.Event:
        """Let requests of a path wait until the event is set."""
        return self._held.setdefault(path_part, asyncio.Event())

    def end_watches(self) -> None:
        """End all watches as after their time-out."""
        for watcher in self._watchers:
            watcher.events.put_nowait(None)

    def send_raw(self, event: Json) -> None:
        """Send an event of the test's own to all watches."""
        for watcher in self._watchers:
            watcher.events.put_nowait(event)

    def bookmark(self) -> None:
        """Send a bookmark of the present version to all watches."""
        version = str(next(self._version))
        body = {"metadata": {"resourceVersion": version}}
        self.send_raw({"type": "BOOKMARK", "object": body})

    def compact(self) -> None:
        """Forget all history: watches from an older version get 410."""
        self.compacted_version = next(self._version)

    def seen(self, verb: str, path_part: str = "") -> list[Request]:
        """Return the requests of a kind so far."""
        return [item for item in self.requests if item.verb == verb and path_part in item.path]

    # The protocol.

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        recorded = await self._record(request)
        try:
            self._concurrent += 1
            self.max_concurrent = max(self.max_concurrent, self._concurrent)
            await self._suffer(recorded, request)
            if recorded.verb == "watch":
                self._concurrent -= 1
                try:
                    return await self._watch(request)
                finally:
                    self._concurrent += 1
            answer = self._answer(recorded, dict(request.query))
            self._lose(recorded, request)
            return web.json_response(answer)
        except ApiRefusal as exc:
            status = {"kind": "Status", "status": "Failure", "message": str(exc), "code": exc.code}
            return web.json_response(status | {"reason": exc.reason}, status=exc.code)
        finally:
            self._concurrent -= 1

    async def _record(self, request: web.Request) -> Request:
        body = await request.read()
        verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(
            request.method, "get"
        )
        if verb == "get" and not split_path(request.path)[1]:
            verb = "watch" if request.query.get("watch") == "true" else "list"
        recorded = Request(
            verb=verb,
            path=request.path,
            user=request.headers.get("Impersonate-User", ""),
            body=msgspec.json.decode(body) if body else {},
            time=asyncio.get_running_loop().time(),
        )
        self.requests.append(recorded)
        return recorded

    async def _suffer(self, recorded: Request, request: web.Request) -> None:
        for part, event in self._held.items():
            if part in recorded.path and recorded.verb != "watch":
                await event.wait()
        for fault in self._faults:
            verb, part, code = fault
            if verb == recorded.verb and part in recorded.path:
                self._faults.remove(fault)
                if code is None:
                    assert request.transport is not None
                    request.transport.abort()
                raise ApiRefusal(code or 500, "the test says no")

    def _lose(self, recorded: Request, request: web.Request) -> None:
        for verb, part in self._lost_answers:
            if verb == recorded.verb and part in recorded.path:
                self._lost_answers.remove((verb, part))
                assert request.transport is not None
                request.transport.abort()
                return

    def _answer(self, request: Request, query: dict[str, str]) -> Json:
        collection, name, subresource = split_path(request.path)
        match request.verb:
            case "list":
                return self._list(collection, query)
            case "create" if subresource == "token":
                return self.tokens.issue(collection, name, request.body)
            case "create":
                return self._create(collection, request.body)
        key = (collection, name)
        if key not in self.objects:
            raise ApiRefusal(404, f'{collection} "{name}" not found')
        known = self.objects[key]
        match request.verb:
            case "update":
                return self._update(collection, known, request.body, subresource)
            case "patch":
                return self._patch(collection, known, request.body, subresource)
            case "delete":
                return self._delete(collection, known, request.body)
        return known

    def _list(self, collection: str, query: dict[str, str]) -> Json:
        items = [
            item
            for (stored, _), item in sorted(self.objects.items(), key=lambda entry: entry[0])
            if is_in(collection, stored) and is_selected(item, query)
        ]
        start = int(query.get("continue") or 0)
        end = start + min(self.page_size, int(query.get("limit") or 500))
        metadata = {"resourceVersion": str(next(self._version))}
        if end < len(items):
            metadata["continue"] = str(end)
        return {"kind": "List", "metadata": metadata, "items": items[start:end]}

    def _create(self, collection: str, body: Json) -> Json:
        if review := self.reviews.answer(collection, body):
            return review
        metadata = body["metadata"]
        if "name" not in metadata:
            metadata["name"] = f"{metadata['generateName']}{next(self._uid):05d}"
        if (collection, metadata["name"]) in self.objects:
            raise ApiRefusal(409, "it exists", "AlreadyExists")
        return self.put(collection, copy.deepcopy(body))

    def _update(self, collection: str, known: Json, body: Json, subresource: str) -> Json:
        # Stricter than life, where a PUT without a version wins over everybody's.
        if body["metadata"].get("resourceVersion") != known["metadata"]["resourceVersion"]:
            raise ApiRefusal(409, "the object has been modified")
        if body["metadata"].get("uid", known["metadata"]["uid"]) != known["metadata"]["uid"]:
            raise ApiRefusal(409, "Precondition failed: UID in precondition")
        if collection.endswith("/secrets") and (why := refused_secret(body)):
            raise ApiRefusal(400, why)
        if subresource:
            body = {**known, "status": body.get("status", {})}
        metadata = {**body["metadata"], "uid": known["metadata"]["uid"]}
        return self._commit("MODIFIED", collection, {**body, "metadata": metadata})

    def _patch(self, collection: str, known: Json, patch: Json, subresource: str) -> Json:
        uid = patch.get("metadata", {}).get("uid")
        if uid and uid != known["metadata"]["uid"]:
            raise ApiRefusal(409, "Precondition failed: UID in precondition")
        version = patch.get("metadata", {}).get("resourceVersion")
        if version and version != known["metadata"]["resourceVersion"]:
            raise ApiRefusal(409, "the object has been modified")
        part = {"status": patch.get("status", {})} if subresource == "status" else patch
        merged = merge(known, part)
        if subresource == "status":
            for field in self.unknown_status_fields:
                merged["status"].pop(field, None)
        if merged == known:
            return known  # nothing changes, no new version
        return self._commit("MODIFIED", collection, merged)

    def _delete(self, collection: str, known: Json, options: Json) -> Json:
        uid = options.get("preconditions", {}).get("uid")
        if uid and uid != known["metadata"]["uid"]:
            raise ApiRefusal(409, "Precondition failed: UID in precondition")
        if known["metadata"].get("finalizers"):
            return known
        self.remove(collection, known["metadata"]["name"])
        return known

    def _commit(self, kind: str, collection: str, body: Json, *, stored: bool = True) -> Json:
        version = next(self._version)
        body = copy.deepcopy(body)
        body["metadata"]["resourceVersion"] = str(version)
        if "/namespaces/" in collection:
            body["metadata"]["namespace"] = collection.split("/namespaces/")[1].split("/")[0]
        if stored:
            self.objects[collection, body["metadata"]["name"]] = body
        event = {"type": kind, "object": body}
        self.log.append((version, collection, event))
        for watcher in self._watchers:
            if is_in(watcher.collection, collection) and is_selected(body, watcher.query):
                watcher.events.put_nowait(event)
        return copy.deepcopy(body)

    def _events_since(self, watcher: _Watcher) -> list[Json]:
        """Return what a watch begins with: from no version, everything that there is now."""
        wanted, query = watcher.collection, watcher.query
        if not query.get("resourceVersion"):
            return [
                {"type": "ADDED", "object": copy.deepcopy(item)}
                for (collection, _), item in self.objects.items()
                if is_in(wanted, collection) and is_selected(item, query)
            ]
        since = int(query["resourceVersion"])
        if since < self.compacted_version:
            raise ApiRefusal(410, "too old resource version")
        return [
            event
            for version, collection, event in self.log
            if version > since and is_in(wanted, collection) and is_selected(event["object"], query)
        ]

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        watcher = _Watcher(collection=split_path(request.path)[0], query=query)
        for event in self._events_since(watcher):
            watcher.events.put_nowait(event)
        self._watchers.append(watcher)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            while (sent := await watcher.events.get()) is not None:
                await response.write(msgspec.json.encode(sent) + b"\n")
        finally:
            self._watchers.remove(watcher)
        return response


def on_api_server(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Run a test with a server and a client of its own as its first two arguments.

    They live inside the test and not in a fixture, since connections' tasks begin in the test.
    """
    signature = inspect.signature(test)

    @functools.wraps(test)
    async def wrapped(**fixtures: object) -> None:
        async with FakeAPIServer() as server, server.client() as kube:
            await test(server, kube, **fixtures)

    others = list(signature.parameters.values())[2:]
    wrapped.__signature__ = signature.replace(parameters=others)  # type: ignore[attr-defined]
    return wrapped
