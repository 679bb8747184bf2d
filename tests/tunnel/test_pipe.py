"""Messages of the pipe, and the counts that must never lie."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnel.errors import PipeError
from tunnel.pipe import (
    ACK_AFTER_S,
    ACK_EVERY_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_UNACKNOWLEDGED_BYTES,
    Ack,
    Data,
    Drain,
    Pipe,
    encode_drain,
)


def attached() -> Pipe:
    """Make a pipe with its first WebSocket."""
    pipe = Pipe()
    assert pipe.attach(peer_received_bytes=0) == 1
    return pipe


def test_messages_are_as_the_protocol_says() -> None:
    """Byte by byte: docs/protocol.md."""
    sender, receiver = attached(), attached()
    assert sender.encode_data([b"abc"]) == b"\x01abc"
    received = receiver.receive_message(b"\x01abc", epoch=1, now=0.0)
    assert isinstance(received, Data)
    assert bytes(received.payload) == b"abc"
    ack = receiver.encode_ack_if_due(now=ACK_AFTER_S)
    assert ack == b"\x02\x00\x00\x00\x00\x00\x00\x00\x03"
    assert sender.receive_message(ack, epoch=1, now=0.0) == Ack(3)
    assert encode_drain(10) == b"\x03\x00\x00\x27\x10"
    assert sender.receive_message(encode_drain(0.25), epoch=1, now=0.0) == Drain(0.25)


@pytest.mark.parametrize(("deadline_s", "milliseconds"), [(-1, 0), (1e12, (1 << 32) - 1)])
def test_drain_deadlines_are_cut(deadline_s: float, milliseconds: int) -> None:
    """They have four bytes."""
    assert attached().receive_message(encode_drain(deadline_s), epoch=1, now=0.0) == Drain(
        milliseconds / 1000
    )


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x01",
        b"\x00abc",
        b"\x04abc",
        b"\x02\x00",
        b"\x02" + bytes(9),
        b"\x03\x00",
        b"\x03" + bytes(5),
        b"\x01" + bytes(64 << 10),
    ],
)
def test_impossible_message_is_refused(message: bytes) -> None:
    """Unknown type, wrong length, nothing, or too much."""
    with pytest.raises(PipeError):
        attached().receive_message(message, epoch=1, now=0.0)


def test_ack_of_more_than_was_sent_is_refused() -> None:
    """A count above what was sent would release what was never received."""
    pipe = attached()
    pipe.encode_data([b"abc"])
    with pytest.raises(PipeError, match="with 3 sent"):
        pipe.receive_message(b"\x02" + (4).to_bytes(8, "big"), epoch=1, now=0.0)


def test_ack_that_goes_back_is_refused() -> None:
    """What was acknowledged is gone at the sender."""
    pipe = attached()
    pipe.encode_data([b"abc"])
    pipe.receive_message(b"\x02" + (2).to_bytes(8, "big"), epoch=1, now=0.0)
    pipe.receive_message(b"\x02" + (2).to_bytes(8, "big"), epoch=1, now=0.0)
    with pytest.raises(PipeError, match="after one of 2"):
        pipe.receive_message(b"\x02" + (1).to_bytes(8, "big"), epoch=1, now=0.0)


def test_ack_goes_out_after_256_kib_or_100_ms() -> None:
    """Whichever is first, and not again before more has come."""
    pipe = attached()
    assert pipe.encode_ack_if_due(now=0.0) is None
    pipe.receive_message(b"\x01x", epoch=1, now=5.0)
    assert pipe.ack_at == 5.0 + ACK_AFTER_S
    assert pipe.encode_ack_if_due(now=5.05) is None
    assert pipe.encode_ack_if_due(now=5.0 + ACK_AFTER_S) is not None
    assert pipe.ack_at is None
    assert pipe.encode_ack_if_due(now=99.0) is None
    message = b"\x01" + bytes(MAX_PAYLOAD_BYTES)
    received = 0
    while received < ACK_EVERY_BYTES:
        assert pipe.encode_ack_if_due(now=100.0) is None
        pipe.receive_message(message, epoch=1, now=100.0)
        received += MAX_PAYLOAD_BYTES
    assert pipe.encode_ack_if_due(now=100.0) is not None


def test_no_more_than_16_mib_go_unacknowledged() -> None:
    """Then DATA waits; an ACK makes room again."""
    pipe = attached()
    while pipe.room_bytes:
        pipe.encode_data([bytes(min(pipe.room_bytes, MAX_PAYLOAD_BYTES))])
    assert pipe.sent_bytes == MAX_UNACKNOWLEDGED_BYTES
    with pytest.raises(AssertionError):
        pipe.encode_data([b"x"])
    pipe.receive_message(b"\x02" + (7).to_bytes(8, "big"), epoch=1, now=0.0)
    assert pipe.room_bytes == 7


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(1, MAX_PAYLOAD_BYTES), st.floats(0, 0.2)), max_size=60
    )
)
def test_counts_agree_whatever_the_order(steps: list[tuple[bool, int, float]]) -> None:
    """Counts only grow, what is acknowledged was received, and bytes keep their order."""
    a, b = attached(), attached()
    lines: dict[bool, list[bytes]] = {True: [], False: []}
    sent: dict[bool, bytearray] = {True: bytearray(), False: bytearray()}
    got: dict[bool, bytearray] = {True: bytearray(), False: bytearray()}
    now = 0.0
    for from_a, size, delay_s in steps:
        now += delay_s
        pipe, peer = (a, b) if from_a else (b, a)
        payload = bytes([size % 251]) * min(size, pipe.room_bytes)
        lines[from_a].append(pipe.encode_data([payload]))
        sent[from_a] += payload
        ack = pipe.encode_ack_if_due(now=now)
        if ack is not None:
            lines[from_a].append(ack)
        # Deliver what the peer's line holds: messages of both kinds in between each other.
        for message in lines[not from_a]:
            before = pipe.acknowledged_bytes
            received = pipe.receive_message(message, epoch=1, now=now)
            if isinstance(received, Data):
                got[not from_a] += received.payload
            assert before <= pipe.acknowledged_bytes <= peer.received_bytes <= pipe.sent_bytes
        lines[not from_a].clear()
    for from_a in (True, False):
        assert sent[from_a].startswith(got[from_a])
