"""Events are hints: what ends is looked at, a broken stream means look at everything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.runtime_status import RuntimeEvent, RuntimeEventType
from edge_runtime.pleg.evented_pleg import EventedPLEG
from edge_runtime.pleg.pod_cache import PodCache
from edge_runtime.runtime.errors import Unavailable, Unimplemented
from tests.fakes.runtime_values import container

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

UID = PodUID("u")
pytestmark = pytest.mark.looptime


class Hints:
    """Remembers the hints."""

    def __init__(self) -> None:
        self.uids: list[PodUID | None] = []

    def hint(self, uid: PodUID | None) -> None:
        """Take one."""
        self.uids.append(uid)


def _event(
    event_type: RuntimeEventType, *, container_id: str = "c0", uid: str = ""
) -> RuntimeEvent:
    return RuntimeEvent(container_id=container_id, type=event_type, pod_uid=uid, timestamp_ns=1)


def _cache() -> PodCache:
    cache = PodCache()
    cache.put_container(UID, container())
    return cache


async def _missing() -> AsyncIterator[RuntimeEvent]:
    raise Unimplemented(method="GetContainerEvents", message="unknown method")
    yield


async def test_only_endings_are_hints() -> None:
    """What a worker starts it knows itself."""
    hints = Hints()

    async def events() -> AsyncIterator[RuntimeEvent]:
        yield _event(RuntimeEventType.CREATED)
        yield _event(RuntimeEventType.STARTED)
        yield _event(RuntimeEventType.STOPPED)
        yield _event(RuntimeEventType.STOPPED, container_id="x", uid="other")
        yield _event(RuntimeEventType.STOPPED, container_id="unknown")
        yield _event(RuntimeEventType.DELETED, container_id="unknown")
        raise Unimplemented(method="GetContainerEvents", message="over")

    await EventedPLEG([events], pleg=hints, cache=_cache()).run()
    assert hints.uids == [UID, "other", None]


async def test_next_source_is_taken_where_one_is_missing() -> None:
    """Containerd 1.6 has no CRI events, but its own."""
    hints = Hints()

    async def native() -> AsyncIterator[RuntimeEvent]:
        yield _event(RuntimeEventType.STOPPED)
        raise Unimplemented(method="Subscribe", message="over")

    await EventedPLEG([_missing, native], pleg=hints, cache=_cache()).run()
    assert hints.uids == [UID]


async def test_broken_stream_is_opened_again_with_growing_delays() -> None:
    """And every time everything is looked at, since events may have been missed."""
    hints = Hints()
    opened: list[float] = []

    async def breaking() -> AsyncIterator[RuntimeEvent]:
        opened.append(asyncio.get_running_loop().time())
        if len(opened) == 4:
            yield _event(RuntimeEventType.STOPPED)
            raise Unimplemented(method="GetContainerEvents", message="over")
        raise Unavailable(method="GetContainerEvents", message="restarting")

    await EventedPLEG([breaking], pleg=hints, cache=_cache()).run()
    assert [round(each - opened[0], 3) for each in opened] == [0, 0.5, 1.5, 3.5]
    assert hints.uids == [None, None, None, UID]
