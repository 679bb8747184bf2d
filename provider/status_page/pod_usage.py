"""What the site's pods use, asked of the edge when somebody looks."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from provider.edge_link.edge_client import SiteOffline
from provider.status_page.site_view import UsageView
from tunnel.errors import TunnelError
from tunnel.protocol import RequestHead

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tunnel.stream import Stream

# Pages that are open in several places ask the edge once.
MAX_AGE_S: Final = 10.0
TIMEOUT_S: Final = 5.0
# 110 pods with a few containers each are some 100 KB.
MAX_BYTES: Final = 4 << 20
_HEAD = RequestHead(method="GET", path="/stats/summary?only_cpu_and_memory=true", headers=())


class Calls(Protocol):
    """Calls to the edge; edge_link.EdgeClient fits."""

    async def open_call(self, head: RequestHead) -> Stream:
        """Begin a call; raises SiteOffline, HeadError."""
        ...


class UsageUnknown(Exception):
    """The edge did not tell; the text is for a person."""


class _Cpu(msgspec.Struct):
    nanos: int | None = msgspec.field(name="usageNanoCores", default=None)


class _Memory(msgspec.Struct):
    working_set: int | None = msgspec.field(name="workingSetBytes", default=None)


class _PodRef(msgspec.Struct):
    uid: str = ""


class _Pod(msgspec.Struct):
    ref: _PodRef = msgspec.field(name="podRef", default_factory=_PodRef)
    cpu: _Cpu | None = None
    memory: _Memory | None = None


class _Summary(msgspec.Struct):
    pods: list[_Pod] = []


class PodUsage:
    """Asks for the summary of a node's figures, at most every MAX_AGE_S."""

    def __init__(self, calls: Calls, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Know nothing yet.

        Args:
            calls: To the edge.
            monotonic: A clock in seconds.
        """
        self._calls = calls
        self._monotonic = monotonic
        self._usage: dict[str, UsageView] = {}
        self._asked_at: float | None = None
        self._turn = asyncio.Lock()

    async def read(self) -> Mapping[str, UsageView]:
        """Return what each pod uses, by UID. Cancelling is safe.

        Raises:
            UsageUnknown: The edge is away, takes too long, or answers with something else.
        """
        async with self._turn:
            now = self._monotonic()
            if self._asked_at is None or now - self._asked_at > MAX_AGE_S:
                self._usage = await self._ask()
                self._asked_at = now
        return self._usage

    async def _ask(self) -> dict[str, UsageView]:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                text = await self._fetch()
            summary = msgspec.json.decode(text, type=_Summary)
        except TimeoutError as exc:
            raise UsageUnknown(f"the edge did not answer within {TIMEOUT_S:g} s") from exc
        except (SiteOffline, TunnelError) as exc:
            raise UsageUnknown(str(exc)) from exc
        except msgspec.DecodeError as exc:
            raise UsageUnknown("the edge's answer is no summary of its figures") from exc
        return {
            pod.ref.uid: UsageView(
                cpu_nano_cores=pod.cpu.nanos if pod.cpu else None,
                memory_working_set_bytes=pod.memory.working_set if pod.memory else None,
            )
            for pod in summary.pods
        }

    async def _fetch(self) -> bytes:
        stream = await self._calls.open_call(_HEAD)
        try:
            await stream.close_write()
            head = await stream.response()
            body = await _read(stream)
        except BaseException:
            stream.reset()
            raise
        if head.status != 200:
            raise UsageUnknown(f"the edge answered with status {head.status}")
        return body


async def _read(stream: Stream) -> bytes:
    body = bytearray()
    while data := await stream.read():
        body += data
        if len(body) > MAX_BYTES:
            raise UsageUnknown("the edge's answer is too long")
    return bytes(body)
