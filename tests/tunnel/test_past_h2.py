"""What passes h2 against h2 itself: the same events, the same errors, the same windows."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import h2.config
import h2.connection
from hypothesis import given, settings
from hypothesis import strategies as st

from tunnel.errors import ProtocolError
from tunnel.events import DataArrived, Event, PeerLeft, RequestArrived, ResetArrived
from tunnel.frames import FrameGuard
from tunnel.heads import ResponseHead
from tunnel.protocol import Protocol, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HEADERS = [(":method", "POST"), (":scheme", "https"), (":authority", "e"), (":path", "/")]
OK = ResponseHead(status=200)
DATA, RST_STREAM, PING, WINDOW_UPDATE = 0, 3, 6, 8
CANCEL = 0x8
MAX_WINDOW_BYTES = (1 << 31) - 1
LARGEST_INCREMENT = 1000

Action = tuple[str, bytes, int, int]


class _AllForH2(FrameGuard):
    """Judges frames, and lets none of them pass h2."""

    def receive_data(self, data: memoryview, *, now: float) -> list[tuple[int, int, int]]:
        """Return the bytes as one piece."""
        super().receive_data(data, now=now)
        return [(0, 0, len(data))] if len(data) else []


def frame(kind: int, payload: bytes, *, stream_id: int, flags: int = 0) -> bytes:
    """Write one HTTP/2 frame."""
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags])
    return head + stream_id.to_bytes(4, "big") + payload


def opening(stream_ids: Iterable[int]) -> bytes:
    """Write what a client begins with, and the heads of these streams."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    client.initiate_connection()
    for stream_id in stream_ids:
        client.send_headers(stream_id, HEADERS)
    return client.data_to_send()


class End:
    """A server, what it told of what arrived, and what it let the client send."""

    def __init__(self, *, past_h2: bool) -> None:
        self.protocol = Protocol(Role.SERVER)
        if not past_h2:
            self.protocol._guard = _AllForH2(from_client=True)
        self.protocol.start()
        self.events: list[Event] = []
        self.error: tuple[type[ProtocolError], int] | None = None
        self.granted: dict[int, int] = {}
        self.answers: list[bytes] = []

    def receive(self, message: bytes) -> None:
        """Take a message, and answer all requests at once."""
        if self.error is not None or any(type(event) is PeerLeft for event in self.events):
            return
        try:
            events = self.protocol.receive_data(memoryview(message), now=0.0)
        except ProtocolError as exc:
            self.error = type(exc), exc.error_code
            return
        for event in events:
            self._note(event)
        self.collect()

    def _note(self, event: Event) -> None:
        last = self.events[-1] if self.events else None
        if type(event) is DataArrived:
            event = DataArrived(event.stream_id, bytes(event.data), event.credit)
            if type(last) is DataArrived and last.stream_id == event.stream_id:
                # Frames that follow each other are told as one.
                data = bytes(last.data) + bytes(event.data)
                self.events[-1] = DataArrived(event.stream_id, data, last.credit + event.credit)
                return
        self.events.append(event)

    def collect(self) -> None:
        """Sort what it sends: windows are summed, anything else stays in its order."""
        sent = b"".join(self.protocol.take_output(1 << 24))
        while sent:
            size = 9 + int.from_bytes(sent[:3], "big")
            one, sent = sent[:size], sent[size:]
            stream_id = int.from_bytes(one[5:9], "big")
            if one[3] == WINDOW_UPDATE:
                increment = int.from_bytes(one[9:], "big")
                self.granted[stream_id] = self.granted.get(stream_id, 0) + increment
            else:
                self.answers.append(one)

    def windows(self) -> list[int]:
        """Return what may be sent on each open stream, and on all together."""
        path, streams = self.protocol._data_path, self.protocol._h2.streams
        open_ids = [number for number, stream in sorted(streams.items()) if not stream.closed]
        received = [
            path.open_streams[number].window_bytes
            if number in path.open_streams
            else streams[number].inbound_flow_control_window
            for number in open_ids
            # Nobody sends on the others any more.
            if streams[number].state_machine.state.name != "HALF_CLOSED_REMOTE"
        ]
        sendable = [streams[number].outbound_flow_control_window for number in open_ids]
        return [*open_ids, *received, *sendable, path.connection_window]


_STREAM = st.sampled_from([1, 1, 1, 3, 3, 5, 7])
_SIZE = st.integers(1, 40) | st.integers(1, 16_000)
_RIGHT = st.integers(1, LARGEST_INCREMENT)
_INCREMENT = (
    _RIGHT
    | _RIGHT
    | _RIGHT
    | _RIGHT
    | st.sampled_from([0, MAX_WINDOW_BYTES, 1 << 31, (1 << 31) | 5])
)
_DATA = st.builds(lambda number, size: frame(DATA, bytes(size), stream_id=number), _STREAM, _SIZE)
_PADDED = st.builds(
    lambda number, size, pad: frame(
        DATA, bytes([pad]) + bytes(size + pad), stream_id=number, flags=0x8
    ),
    _STREAM,
    _SIZE.filter(lambda size: size < 15_000),
    st.integers(0, 255),
)
_END = st.builds(
    lambda number, size: frame(DATA, bytes(size), stream_id=number, flags=0x1),
    _STREAM,
    st.integers(0, 100),
)
_WIDEN = st.builds(
    lambda number, increment: frame(WINDOW_UPDATE, increment.to_bytes(4, "big"), stream_id=number),
    _STREAM,
    _INCREMENT,
)
_RESET = st.builds(
    lambda number: frame(RST_STREAM, CANCEL.to_bytes(4, "big"), stream_id=number), _STREAM
)
_PING = st.just(frame(PING, bytes(8), stream_id=0))
_NOISE = st.builds(
    lambda kind, flags, number, payload: frame(kind, payload, stream_id=number, flags=flags),
    st.integers(0, 10),
    st.integers(0, 255),
    st.integers(0, 9),
    st.binary(max_size=20),
)
_FRAME = st.one_of(*[_DATA] * 6, *[_PADDED] * 2, *[_WIDEN] * 4, _END, _RESET, _PING)
_ACTION = st.tuples(
    st.sampled_from(["frame"] * 6 + ["respond", "end", "reset", "grant"]),
    _FRAME,
    _STREAM,
    st.integers(1, 30_000),
)
_ACTIONS = st.lists(_ACTION, max_size=10) | st.lists(_ACTION, min_size=20, max_size=50)
_CUTS = st.lists(st.integers(1, 60_000) | st.integers(1, 30), min_size=1, max_size=20)


def up_to_a_fault(actions: list[Action]) -> list[Action]:
    """Cut behind the first window update that may be wrong: of two faults either may be told."""
    for position, (action, one, _, _) in enumerate(actions):
        is_update = action == "frame" and one[3] == WINDOW_UPDATE
        if is_update and not 0 < int.from_bytes(one[9:], "big") <= LARGEST_INCREMENT:
            return actions[: position + 1]
    return list(actions)


def act(end: End, action: str, number: int, size: int) -> None:
    """Do what a session might do with a stream that it knows."""
    known = {event.stream_id for event in end.events if type(event) is RequestArrived}
    gone = {event.stream_id for event in end.events if type(event) is ResetArrived}
    stream = end.protocol._h2.streams.get(number)
    if end.error is not None or number not in known - gone or stream is None or stream.closed:
        return
    answered = stream.state_machine.headers_sent
    match action:
        case "respond" if not answered:
            end.protocol.send_response(number, OK, end=False)
        case "end" if answered and stream.state_machine.state.name != "HALF_CLOSED_LOCAL":
            end.protocol.send_data(number, [], 0, end=True)
        case "reset":
            end.protocol.reset_stream(number, error_code=CANCEL)
        case "grant":
            end.protocol.grant(number, size)
    end.collect()


def within_windows(actions: list[Action]) -> list[Action]:
    """Leave out DATA above a stream's window: one layer up it is refused, see window accounting."""
    room = dict.fromkeys(range(10), 60_000)
    kept = []
    for action in actions:
        stream_id, size = int.from_bytes(action[1][5:9], "big"), len(action[1]) - 9
        if action[0] == "frame" and action[1][3] == DATA:
            if size > room[stream_id]:
                continue
            room[stream_id] -= size
        kept.append(action)
    return kept


def deliver(wire: bytes, sizes: Iterator[int], ends: tuple[End, End]) -> None:
    """Hand the same messages to both."""
    while wire:
        size = next(sizes)
        for end in ends:
            end.receive(wire[:size])
        wire = wire[size:]


@settings(deadline=None, max_examples=200)
@given(_ACTIONS, _CUTS, st.none() | _NOISE)
def test_nothing_that_passes_h2_can_be_told_from_what_does_not(
    actions: list[Action], cuts: list[int], noise: bytes | None
) -> None:
    """Cut anywhere, right or wrong; whatever this end does meanwhile."""
    ours, all_h2 = ends = End(past_h2=True), End(past_h2=False)
    sizes = itertools.cycle(cuts)
    last: list[Action] = [("frame", noise, 1, 1)] if noise is not None else []
    chosen = up_to_a_fault(within_windows([*actions, *last]))
    wire = opening([1, 3, 5])
    for position, (action, one, number, size) in enumerate(chosen, 1):
        if position == len(chosen):
            # It may be wrong, and so may what stands before it: of two faults in one message either
            # may be told.
            deliver(wire, sizes, ends)
            wire = b""
        if action == "frame":
            wire += one
            continue
        deliver(wire, sizes, ends)
        wire = b""
        for end in ends:
            act(end, action, number, size)
    deliver(wire, sizes, ends)
    assert ours.error == all_h2.error
    assert ours.events == all_h2.events
    assert ours.answers == all_h2.answers
    if ours.error is None:
        assert ours.granted == all_h2.granted
        assert ours.windows() == all_h2.windows()
