"""Messages of the pipe, and the counts that must never lie."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tunnel.errors import PipeError
from tunnel.pipe import (
    ACK_AFTER_S,
    ACK_EVERY_BYTES,
    MAX_PAYLOAD_BYTES,
    MAX_UNACKNOWLEDGED_BYTES,
    MAX_UNACKNOWLEDGED_MESSAGES,
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


# One WebSocket after another.


def test_what_the_peer_lacks_goes_first_from_the_very_byte() -> None:
    """Its count may lie within a message; nothing new passes what is old."""
    for count in range(10):
        pipe = attached()
        for payload in (b"abc", b"def", b"ghi"):
            pipe.encode_data([payload])
        pipe.detach()
        assert pipe.attach(peer_received_bytes=count) == 2
        replayed = []
        assert bool(pipe.room_bytes) == (count == 9)
        while message := pipe.take_replay():
            assert message[0] == 1
            replayed.append(message[1:])
        assert b"".join(replayed) == b"abcdefghi"[count:]
        assert pipe.encode_data([b"jkl"]) == b"\x01jkl"
        assert pipe.sent_bytes == 12


@pytest.mark.parametrize("count", [2, 7])
def test_count_that_cannot_be_true_is_refused_at_attach(count: int) -> None:
    """Below the last ACK, or above what was sent."""
    pipe = attached()
    pipe.encode_data([b"abcdef"])
    pipe.receive_message(b"\x02" + (3).to_bytes(8, "big"), epoch=1, now=0.0)
    pipe.detach()
    with pytest.raises(PipeError, match=f"count of {count}"):
        pipe.attach(peer_received_bytes=count)
    assert not pipe.is_attached


def test_first_websocket_has_nothing_to_resume() -> None:
    """A peer that counts before anything was sent is another session's."""
    with pytest.raises(PipeError):
        Pipe().attach(peer_received_bytes=1)


def test_late_messages_of_an_old_websocket_are_dropped() -> None:
    """Counted twice, they would tear the stream; the peer sends them again."""
    pipe = attached()
    pipe.encode_data([b"abc"])
    pipe.receive_message(b"\x01xy", epoch=1, now=0.0)
    pipe.detach()
    assert pipe.receive_message(b"\x01z", epoch=1, now=0.0) is None
    pipe.attach(peer_received_bytes=0)
    late_ack = b"\x02" + (3).to_bytes(8, "big")
    assert pipe.receive_message(late_ack, epoch=1, now=0.0) is None
    assert (pipe.received_bytes, pipe.acknowledged_bytes) == (2, 0)
    assert pipe.receive_message(b"\x01z", epoch=2, now=0.0) is not None
    assert pipe.received_bytes == 3


def test_detached_pipe_sends_nothing() -> None:
    """There is nowhere to send it, and it would be kept without bound."""
    pipe = attached()
    pipe.receive_message(b"\x01x", epoch=1, now=0.0)
    pipe.detach()
    assert pipe.room_bytes == 0
    assert pipe.ack_at is None
    assert pipe.take_replay() is None
    with pytest.raises(AssertionError):
        pipe.encode_data([b"x"])


def test_small_messages_are_bounded_in_number() -> None:
    """Each costs more memory than its bytes."""
    pipe = attached()
    for _ in range(MAX_UNACKNOWLEDGED_MESSAGES):
        pipe.encode_data([b"x"])
    assert pipe.room_bytes == 0
    pipe.receive_message(b"\x02" + (1).to_bytes(8, "big"), epoch=1, now=0.0)
    assert pipe.room_bytes > 0


class _End:
    """One end of a resumable pipe: what it wants to send, and what it was given."""

    def __init__(self, name: int) -> None:
        self.pipe = Pipe()
        self.epoch = 0
        self.name = name
        self.sent = bytearray()
        self.got = bytearray()
        self.line: list[bytes] = []  # under way to the other end, in this epoch

    def send(self, size: int, *, now: float) -> None:
        """Send what may go: an ACK that is due, what is old, then something new."""
        for message in (self.pipe.encode_ack_if_due(now=now), self.pipe.take_replay()):
            if message is not None:
                self.line.append(message)
        size = min(size, self.pipe.room_bytes)
        if size > 0:
            start = len(self.sent)
            payload = bytes((start + index) * 7 + self.name & 0xFF for index in range(size))
            self.sent += payload
            self.line.append(self.pipe.encode_data([payload[: size // 2], payload[size // 2 :]]))

    def receive(self, message: bytes, *, epoch: int, now: float) -> None:
        """Take one message that the other end sent."""
        received = self.pipe.receive_message(message, epoch=epoch, now=now)
        if isinstance(received, Data):
            self.got += received.payload


_ENDS = st.sampled_from([0, 1])


class Resuming(RuleBasedStateMachine):
    """Every byte once and in order: over cuts between any two messages, takeovers, lost answers."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = (_End(1), _End(2))
        self.late: list[tuple[int, int, bytes]] = []
        self.now = 0.0
        self.dial(0, answer_lost=False)

    @rule(name=_ENDS, size=st.integers(0, 400))
    def send(self, name: int, size: int) -> None:
        """Send something; or, with no bytes, what is due or old."""
        if self.ends[name].pipe.is_attached:
            self.ends[name].send(size, now=self.now)

    @rule(name=_ENDS, count=st.integers(1, 5))
    def deliver(self, name: int, count: int) -> None:
        """Let messages arrive."""
        end, peer = self.ends[name], self.ends[1 - name]
        while peer.pipe.is_attached and end.line and count:
            peer.receive(end.line.pop(0), epoch=peer.epoch, now=self.now)
            count -= 1

    @rule(delay_s=st.floats(0.0, 0.2))
    def wait(self, delay_s: float) -> None:
        """Let time pass: ACKs fall due."""
        self.now += delay_s

    @rule(name=_ENDS, answer_lost=st.booleans())
    def dial(self, name: int, *, answer_lost: bool) -> None:
        """Lose what is under way, and dial anew.

        The dialler's socket goes first, then the other's, then the counts are read.
        """
        one, other = self.ends[name], self.ends[1 - name]
        one.pipe.detach()
        dialled = one.pipe.received_bytes
        other.pipe.detach()
        answered = other.pipe.received_bytes
        for number, end in enumerate(self.ends):
            taker = 1 - number
            self.late += [(taker, self.ends[taker].epoch, message) for message in end.line]
            end.line.clear()
        other.epoch = other.pipe.attach(peer_received_bytes=dialled)
        if not answer_lost:
            one.epoch = one.pipe.attach(peer_received_bytes=answered)

    @precondition(lambda self: self.late)
    @rule()
    def arrive_late(self) -> None:
        """Let a replaced WebSocket bring what was lost."""
        name, epoch, message = self.late.pop()
        self.ends[name].receive(message, epoch=epoch, now=self.now)

    @invariant()
    def nothing_is_lost_or_doubled(self) -> None:
        """Counts are true, and no more is kept than is not acknowledged."""
        for one, other in (self.ends, self.ends[::-1]):
            assert other.sent.startswith(one.got)
            assert len(one.got) == one.pipe.received_bytes
            assert other.pipe.acknowledged_bytes <= one.pipe.received_bytes
            unacknowledged_bytes = one.pipe.sent_bytes - one.pipe.acknowledged_bytes
            assert unacknowledged_bytes <= one.pipe.kept_bytes <= unacknowledged_bytes + 400

    def teardown(self) -> None:
        """In the end all of it arrives, and nothing is kept."""
        self.dial(0, answer_lost=False)
        while any(end.line or end.pipe.kept_bytes for end in self.ends):
            self.now += 1.0
            for name in (0, 1):
                self.send(name, 0)
                self.deliver(name, 1_000)
        for one, other in (self.ends, self.ends[::-1]):
            assert one.got == other.sent


TestResuming = Resuming.TestCase


@given(st.lists(st.integers(1, MAX_PAYLOAD_BYTES), min_size=1, max_size=400), st.data())
def test_full_buffer_waits_and_is_resumed(sizes: list[int], data: st.DataObject) -> None:
    """No more than 16 MiB are kept, and any count of the peer's frees its part."""
    pipe = attached()
    payload = bytes(MAX_PAYLOAD_BYTES)
    for size in sizes * 4:
        if pipe.room_bytes:
            pipe.encode_data([payload[: min(size, pipe.room_bytes)]])
    assert pipe.kept_bytes <= MAX_UNACKNOWLEDGED_BYTES
    count = data.draw(st.integers(0, pipe.sent_bytes))
    pipe.attach(peer_received_bytes=count)
    replayed = 0
    while message := pipe.take_replay():
        replayed += len(message) - 1
    assert replayed == pipe.sent_bytes - count
    assert pipe.kept_bytes <= replayed + MAX_PAYLOAD_BYTES
