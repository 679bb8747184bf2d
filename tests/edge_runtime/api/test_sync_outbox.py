"""What waits to go up."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.api.sync_outbox import SyncOutbox
from tests.fakes.reports import make_report
from tunnel.sync import Ack, EventReport, FromEdge, PodGone, PodStatus, TokenWant


def event(event_id: str, count: int = 1) -> EventReport:
    """Make an event."""
    return EventReport(
        id=event_id,
        regarding={},
        event_type="Normal",
        reason="Started",
        message="",
        count=count,
        first_timestamp="",
        last_timestamp="",
    )


async def take_all(outbox: SyncOutbox) -> list[FromEdge]:
    """Take what waits, without waiting for more."""
    taken = []
    try:
        while True:
            async with asyncio.timeout(0):
                taken.append(await outbox.next())
    except TimeoutError:
        return taken


async def test_newest_of_each_pod_is_sent_once() -> None:
    """A slow stream makes values newer, never more."""
    outbox = SyncOutbox()
    for sequence in range(1, 1000):
        outbox.put(PodStatus(uid="a", sequence=sequence, status={}))
    outbox.put(PodStatus(uid="b", sequence=1, status={}))

    taken = await take_all(outbox)

    assert [(each.uid, each.sequence) for each in taken if isinstance(each, PodStatus)] == [
        ("a", 999),
        ("b", 1),
    ]


async def test_most_urgent_kind_goes_first() -> None:
    """A status before the PodGone that relies on it, events last."""
    outbox = SyncOutbox()
    messages: list[FromEdge] = [
        event("e"),
        PodGone(uid="a", sequence=1),
        PodStatus(uid="a", sequence=1, status={}),
        Ack(key="a", revision="r"),
        make_report(),
    ]
    for message in messages:
        outbox.put(message)

    assert await take_all(outbox) == list(reversed(messages))


async def test_wants_of_tokens_go_ahead_of_all_that_nobody_waits_for() -> None:
    """Each once, however often it was asked for."""
    outbox = SyncOutbox()
    want = TokenWant(pod_uid="a", service_account="sa", audiences=[], expiry_s=600)
    other = TokenWant(pod_uid="a", service_account="sa", audiences=["vault"], expiry_s=600)
    messages: list[FromEdge] = [Ack(key="a", revision="r"), want, other, want]
    for message in messages:
        outbox.put(message)

    assert await take_all(outbox) == [want, other, messages[0]]


async def test_reader_waits_for_the_next_message() -> None:
    """Cancelling loses nothing."""
    outbox = SyncOutbox()
    async with asyncio.TaskGroup() as group:
        cancelled = group.create_task(outbox.next())
        await asyncio.sleep(0)
        cancelled.cancel()
        waiting = group.create_task(outbox.next())
        await asyncio.sleep(0)
        outbox.put(PodGone(uid="a", sequence=1))

    assert waiting.result() == PodGone(uid="a", sequence=1)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.booleans())))
def test_last_value_of_every_key_is_what_arrives(puts: list[tuple[str, int, bool]]) -> None:
    """In any interleaving of puts and takes."""

    async def run() -> None:
        outbox = SyncOutbox()
        expected: dict[str, int] = {}
        seen: dict[str, int] = {}
        for uid, sequence, take in puts:
            outbox.put(PodStatus(uid=uid, sequence=sequence, status={}))
            expected[uid] = sequence
            if take:
                message = await outbox.next()
                assert isinstance(message, PodStatus)
                seen[message.uid] = message.sequence
        for message in await take_all(outbox):
            assert isinstance(message, PodStatus)
            seen[message.uid] = message.sequence
        assert seen == expected

    asyncio.run(run())
