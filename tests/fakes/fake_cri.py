"""A container runtime that speaks the real protocol and runs nothing.

A gRPC server on a unix socket with both CRI services. Sandboxes, containers and images are protos
in plain dicts, which a test may look at and change. Containers run until the test ends them with
``exit_container`` or the client stops them; logs are real files, written by ``write_log``.

    async with FakeCri(tmp_path) as fake:
        fake.add_image("busybox:latest")
        fake.fail("RunPodSandbox", grpc.StatusCode.UNKNOWN, "no network")
        async with CriClient(fake.endpoint) as cri:
            ...

Enter it within the test, not in a fixture: gRPC's server has tasks of its own, and a test that ends
with running tasks fails.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, defaultdict, deque
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

import grpc
import grpc.aio
from google.protobuf.message_factory import GetMessageClass

from cri_protos import api_pb2 as pb
from cri_protos import containerd_content_pb2 as content_pb
from tests.fakes.fake_cri_calls import FakeCriCalls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from google.protobuf.message import Message

_GRPC_TASKS = ("rpc_task", "HandleExceptions")

Context = grpc.aio.ServicerContext[Any, Any]


class FakeCri(FakeCriCalls):
    """A CRI runtime for tests; use as an async context manager."""

    def __init__(
        self, folder: Path, *, has_events: bool = False, is_containerd: bool = False
    ) -> None:
        """Prepare a server whose socket is in ``folder``.

        Args:
            folder: Of the socket.
            has_events: It tells of changes, as containerd does from 1.7 on.
            is_containerd: It tells what it downloads: `ingests`.
        """
        super().__init__()
        self.is_containerd = is_containerd
        # Bytes by blob.
        self.ingests: dict[str, int] = {}
        self.endpoint = f"unix://{folder / 'cri.sock'}"
        self.has_events = has_events
        # Set once a client listens to events.
        self.listened = asyncio.Event()
        self.calls: list[tuple[str, Message]] = []
        self.before: dict[str, Callable[[], Awaitable[None]]] = {}
        # How many calls of a method ran at the same time, at most.
        self.most_at_once: Counter[str] = Counter()
        self._running: Counter[str] = Counter()
        self._changed = asyncio.Condition()
        self._failures: defaultdict[str, deque[tuple[grpc.StatusCode, str]]] = defaultdict(deque)
        self._server: grpc.aio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = grpc.aio.server()
        for service in ("RuntimeService", "ImageService"):
            self._server.add_generic_rpc_handlers((self._handlers(service),))
        if self.is_containerd:
            self._server.add_generic_rpc_handlers((self._content(),))
        self._server.add_insecure_port(self.endpoint)
        await self._server.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        """End the server; running calls end as cancelled."""
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None
            # gRPC cancels calls that still run, and its own tasks for them end a moment later.
            left = [task for task in asyncio.all_tasks() if task.get_name().startswith(_GRPC_TASKS)]
            if left:
                await asyncio.wait(left, timeout=5)

    # What a test does.

    def fail(self, method: str, code: grpc.StatusCode, text: str, *, times: int = 1) -> None:
        """Let the next calls of a method fail."""
        self._failures[method].extend([(code, text)] * times)

    def hold(self, method: str) -> asyncio.Event:
        """Let calls of a method wait until the returned event is set."""
        released = asyncio.Event()

        async def wait() -> None:
            await released.wait()

        self.before[method] = wait
        return released

    def called(self, method: str) -> list[Any]:
        """Return the requests of one method so far."""
        return [request for name, request in self.calls if name == method]

    async def reached(self, method: str, count: int) -> None:
        """Wait until a method was called so often."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.called(method)) >= count)

    def image(self, name: str, **fields: Any) -> pb.Image:  # noqa: ANN401  # proto fields
        """Make an image of that name."""
        defaults: dict[str, Any] = {"size": 1 << 20, "repo_tags": [name]}
        return pb.Image(
            id=f"sha256:{hashlib.sha256(name.encode()).hexdigest()}", **(defaults | fields)
        )

    def add_image(self, name: str, **fields: Any) -> pb.Image:  # noqa: ANN401  # proto fields
        """Put an image into the runtime."""
        self.images[name] = self.image(name, **fields)
        return self.images[name]

    def offer_image(self, name: str, **fields: Any) -> pb.Image:  # noqa: ANN401  # proto fields
        """Put an image where it can be pulled from."""
        self.pullable[name] = self.image(name, **fields)
        return self.pullable[name]

    def write_log(
        self, container_id: str, text: str, *, stream: str = "stdout", partial: bool = False
    ) -> None:
        """Append one record to a container's log file."""
        moment = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "000Z")
        record = f"{moment} {stream} {'P' if partial else 'F'} {text}\n"
        with self.containers[container_id].log_path.open("a") as log:
            log.write(record)

    def container_named(self, name: str) -> str:
        """Return the id of the newest container of that name."""
        found = [
            (each.status.created_at, container_id)
            for container_id, each in self.containers.items()
            if each.config.metadata.name == name
        ]
        return max(found)[1]

    # The server.

    def _handlers(self, service: str) -> grpc.GenericRpcHandler:
        handlers = {}
        for method in pb.DESCRIPTOR.services_by_name[service].methods:
            request = GetMessageClass(method.input_type)
            if method.name == "GetContainerEvents":
                handlers[method.name] = grpc.unary_stream_rpc_method_handler(
                    self._events,
                    request_deserializer=request.FromString,
                    response_serializer=pb.ContainerEventResponse.SerializeToString,
                )
                continue
            handlers[method.name] = grpc.unary_unary_rpc_method_handler(
                self._unary(method.name),
                request_deserializer=request.FromString,
                response_serializer=GetMessageClass(method.output_type).SerializeToString,
            )
        return grpc.method_handlers_generic_handler(f"runtime.v1.{service}", handlers)

    def _content(self) -> grpc.GenericRpcHandler:
        handler = grpc.unary_unary_rpc_method_handler(
            self._unary("ListStatuses"),
            request_deserializer=content_pb.ListStatusesRequest.FromString,
            response_serializer=content_pb.ListStatusesResponse.SerializeToString,
        )
        service = "containerd.services.content.v1.Content"
        return grpc.method_handlers_generic_handler(service, {"ListStatuses": handler})

    async def _ListStatuses(
        self, _: content_pb.ListStatusesRequest
    ) -> content_pb.ListStatusesResponse:
        statuses = [content_pb.Status(ref=ref, offset=at) for ref, at in self.ingests.items()]
        return content_pb.ListStatusesResponse(statuses=statuses)

    def _unary(self, name: str) -> Callable[[Any, Context], Awaitable[Message]]:
        async def handle(request: Message, context: Context) -> Message:
            self.calls.append((name, request))
            self._running[name] += 1
            self.most_at_once[name] = max(self.most_at_once[name], self._running[name])
            async with self._changed:
                self._changed.notify_all()
            try:
                return await answer(request, context)
            finally:
                self._running[name] -= 1

        async def answer(request: Message, context: Context) -> Message:
            if name in self.before:
                await self.before[name]()
            if self._failures[name]:
                await context.abort(*self._failures[name].popleft())
            method = getattr(self, f"_{name}", None)
            if method is None:
                text = f"unknown method {name} for service runtime.v1"
                await context.abort(grpc.StatusCode.UNIMPLEMENTED, text)
            try:
                result: Message = await method(request)
            except KeyError as exc:
                text = f"an error occurred when try to find {exc.args[0]!r}: not found"
                await context.abort(grpc.StatusCode.NOT_FOUND, text)
            except ValueError as exc:
                await context.abort(grpc.StatusCode.UNKNOWN, str(exc))
            return result

        return handle

    async def _events(
        self, request: pb.GetEventsRequest, context: Context
    ) -> AsyncIterator[pb.ContainerEventResponse]:
        self.calls.append(("GetContainerEvents", request))
        if not self.has_events:
            text = "method GetContainerEvents not implemented"
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, text)
        queue: asyncio.Queue[pb.ContainerEventResponse] = asyncio.Queue()
        self._listeners.append(queue)
        self.listened.set()
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners.remove(queue)
