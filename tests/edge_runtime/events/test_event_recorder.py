"""The outbox: persisted before told, kept until acknowledged, bounded."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from edge_runtime.events import event_recorder
from edge_runtime.events.event_recorder import EventRecorder
from edge_runtime.objects.pod import Pod
from edge_runtime.store.database import Database
from edge_runtime.store.event_store import EventStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

POD = Pod({"metadata": {"uid": "u", "name": "p", "namespace": "ns"}})


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database of its own."""
    opened = Database(tmp_path / "edgelet.db")
    yield opened
    opened.close()


def _recorder(database: Database) -> EventRecorder:
    ids = itertools.count(1)
    return EventRecorder(
        EventStore(database),
        now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        monotonic=lambda: 0.0,
        new_id=lambda: f"e{next(ids)}",
    )


@contextlib.asynccontextmanager
async def _running(recorder: EventRecorder) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tg:
        task = tg.create_task(recorder.run())
        yield
        task.cancel()


def _started(recorder: EventRecorder, pod: Pod = POD) -> None:
    recorder.record(
        pod, event_type="Normal", reason="Started", message="Container started", container_name="c"
    )


async def test_event_is_told_once_persisted(database: Database) -> None:
    """With the reference that `kubectl describe` looks for."""
    recorder = _recorder(database)
    changes = recorder.changed()
    _started(recorder)
    assert recorder.pending() == []
    async with _running(recorder):
        report = await anext(changes)
    assert report.regarding == {
        "apiVersion": "v1",
        "kind": "Pod",
        "namespace": "ns",
        "name": "p",
        "uid": "u",
        "fieldPath": "spec.containers{c}",
    }
    assert (report.id, report.count, report.first_timestamp) == ("e1", 1, "2026-01-02T03:04:05Z")
    again = _recorder(database)
    await again.load()
    assert again.pending() == [report]


async def test_event_of_the_node_names_no_node(database: Database) -> None:
    """The edge does not know its own name for sure: the provider adds it."""
    recorder = _recorder(database)
    changes = recorder.changed()
    for _ in range(2):
        recorder.record_node(
            event_type="Warning", reason="FreeDiskSpaceFailed", message="wanted 5 bytes"
        )
    _started(recorder)
    async with _running(recorder):
        report, other = await anext(changes), await anext(changes)
    assert report.regarding == {"kind": "Node"}
    assert (report.event_type, report.reason) == ("Warning", "FreeDiskSpaceFailed")
    assert (report.message, report.count) == ("wanted 5 bytes", 2)
    assert other.regarding["kind"] == "Pod"
    again = _recorder(database)
    await again.load()
    assert again.pending() == [report, other]


async def test_repeated_event_counts_up_under_its_id(database: Database) -> None:
    """Also after it was acknowledged."""
    recorder = _recorder(database)
    changes = recorder.changed()
    async with _running(recorder):
        _started(recorder)
        await anext(changes)
        await recorder.acknowledge("e1")
        assert recorder.pending() == []
        _started(recorder)
        report = await anext(changes)
    assert (report.id, report.count) == ("e1", 2)


async def test_acknowledgement_of_an_older_count_keeps_the_newer(database: Database) -> None:
    """What happened between telling and acknowledging is not lost."""
    recorder = _recorder(database)
    changes = recorder.changed()
    async with _running(recorder):
        _started(recorder)
        await anext(changes)
        _started(recorder)
        await recorder.acknowledge("e1")
        assert (await anext(changes)).count == 2
        await recorder.acknowledge("e1")
        await recorder.acknowledge("unknown")
        assert recorder.pending() == []


async def test_acknowledged_event_leaves_the_disk(database: Database) -> None:
    """A restart does not send it again."""
    recorder = _recorder(database)
    changes = recorder.changed()
    async with _running(recorder):
        _started(recorder)
        await anext(changes)
        await recorder.acknowledge("e1")
        recorder.record(POD, event_type="Normal", reason="Killing", message="Stopping container c")
        await anext(changes)
    assert [each.reason for each in await EventStore(database).load()] == ["Killing"]


async def test_full_outbox_drops_the_oldest(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cloud that stays away costs old events, not memory."""
    monkeypatch.setattr(event_recorder, "MAX_OUTBOX", 2)
    recorder = _recorder(database)
    changes = recorder.changed()
    for index in range(3):
        _started(recorder, Pod({"metadata": {"uid": f"u{index}", "name": f"p{index}"}}))
    async with _running(recorder):
        await anext(changes)
    assert [each.regarding["name"] for each in recorder.pending()] == ["p1", "p2"]
    assert [each.id for each in await EventStore(database).load()] == ["e2", "e3"]


async def test_long_message_is_cut(database: Database) -> None:
    """The API refuses more than 1024 characters."""
    recorder = _recorder(database)
    changes = recorder.changed()
    recorder.record(POD, event_type="Warning", reason="Failed", message="x" * 5000)
    async with _running(recorder):
        assert len((await anext(changes)).message) == 1024


async def test_many_wordings_are_combined(database: Database) -> None:
    """And say so."""
    recorder = _recorder(database)
    changes = recorder.changed()
    for index in range(12):
        recorder.record(POD, event_type="Warning", reason="Failed", message=f"error {index}")
    async with _running(recorder):
        await anext(changes)
    combined = recorder.pending()[-1]
    assert combined.message == "(combined from similar events): error 11"
    assert combined.count == 3


async def test_what_is_not_told_is_counted(database: Database) -> None:
    """A container that has crashed for hours shows how often, not how often it was told."""
    now_s = 0.0
    recorder = EventRecorder(EventStore(database), monotonic=lambda: now_s)
    changes = recorder.changed()
    for _ in range(40):
        recorder.record(POD, event_type="Warning", reason="BackOff", message="Back-off")
    async with _running(recorder):
        assert (await anext(changes)).count == 25
        now_s = 300.0
        recorder.record(POD, event_type="Warning", reason="BackOff", message="Back-off")
        assert (await anext(changes)).count == 41


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("c", "spec.containers{c}"),
        ("i", "spec.initContainers{i}"),
        ("e", "spec.ephemeralContainers{e}"),
    ],
)
async def test_event_names_the_container_and_its_kind(
    database: Database, name: str, path: str
) -> None:
    """`kubectl describe` shows where it stands in the pod."""
    spec = {
        "containers": [{"name": "c"}],
        "initContainers": [{"name": "i"}],
        "ephemeralContainers": [{"name": "e"}],
    }
    recorder = _recorder(database)
    changes = recorder.changed()
    recorder.record(
        Pod(POD.raw | {"spec": spec}),
        event_type="Normal",
        reason="Started",
        message="m",
        container_name=name,
    )
    async with _running(recorder):
        assert (await anext(changes)).regarding["fieldPath"] == path


async def _limit_pages(database: Database, pages: int) -> None:
    """Let the file grow to so many pages and no further, as a full disk does."""
    await database.run(lambda c: c.execute(f"PRAGMA max_page_count={pages}").fetchone())


async def test_full_disk_is_waited_for(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not on disk is not told, and nothing is lost."""
    monkeypatch.setattr(event_recorder, "RETRY_S", 0.01)
    await _limit_pages(database, 1)
    recorder = _recorder(database)
    changes = recorder.changed()
    async with _running(recorder):
        for number in range(20):
            pod = Pod({"metadata": {"uid": f"u{number}", "name": "p", "namespace": "ns"}})
            message = f"{number} {'x' * 1000}"
            recorder.record(pod, event_type="Normal", reason="Pulled", message=message)
        await asyncio.sleep(0.03)  # several refusals of the disk
        assert recorder.pending() == []
        await _limit_pages(database, 10_000)
        async with asyncio.timeout(10):
            told = [(await anext(changes)).id for _ in range(20)]
    assert told == [f"e{number}" for number in range(1, 21)]
