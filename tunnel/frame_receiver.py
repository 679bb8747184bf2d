"""FrameReceiver: the frames of one message, each to where it belongs: past h2, or through it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tunnel.events import DataArrived, Event, PeerLeft, ResetArrived, WindowOpened
from tunnel.frames import FRAME_HEADER_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from h2.connection import H2Connection

    from tunnel.data_path import DataPath
    from tunnel.translation import Translation

_NO_RUN = (-1, 0, 0)


class FrameReceiver:
    """Takes what a FrameGuard let pass.

    Args:
        connection: h2's connection.
        data_path: Takes plain DATA and WINDOW_UPDATE frames.
        translation: Of h2's events.
        reset: Is told each stream that was reset, before the event is returned.
        peer_left: Is told of the peer's GOAWAY; nothing behind it is looked at.
    """

    def __init__(
        self,
        connection: H2Connection,
        data_path: DataPath,
        translation: Translation,
        *,
        reset: Callable[[int], None],
        peer_left: Callable[[], None],
    ) -> None:
        self._h2 = connection
        self._data_path = data_path
        self._translation = translation
        self._reset = reset
        self._peer_left = peer_left

    def take(self, data: memoryview, runs: list[tuple[int, int, int]]) -> list[Event]:
        """Take one message; consecutive frames of a stream become one event, or one delivery.

        Args:
            data: The message.
            runs: Its pieces, as ``FrameGuard.receive_data`` returns them.

        Raises:
            H2Error: The peer broke a rule of HTTP/2 (and hyperframe's errors).
            ProtocolError: The peer broke one of ours.
        """
        events: list[Event] = []
        data_path = self._data_path
        open_streams = data_path.open_streams
        following = iter(runs)
        next(following, None)
        payload: list[memoryview] = []
        received = 0
        for stream_id, start, end in runs:
            next_id = next(following, _NO_RUN)[0]
            inbound = open_streams.get(stream_id)
            if inbound is None:
                if stream_id < 0 and data_path.widen(-stream_id, data[start:end]):
                    events.append(WindowOpened(-stream_id))
                    continue
                events += self._translate(data[start:end])
                if events and type(events[-1]) is PeerLeft:
                    # Whatever follows a GOAWAY, the peer's reason is the one that counts.
                    break
                continue
            piece = data[start + FRAME_HEADER_BYTES : end]
            if next_id == stream_id:
                payload.append(piece)
                continue
            joined: bytes | memoryview = piece
            if payload:
                payload.append(piece)
                joined = b"".join(payload)
                payload.clear()
            size = len(joined)
            received += size
            inbound.receive(size)
            if inbound.sink is None:
                events.append(DataArrived(stream_id, joined, size))
            else:
                inbound.sink(joined)
        data_path.received(received)
        return events

    def _translate(self, data: memoryview) -> list[Event]:
        """Let h2 see frames, and return what they mean."""
        events: list[Event] = []
        window = self._h2.inbound_flow_control_window
        for event in self._translation.translate(self._h2.receive_data(data)):
            if type(event) is DataArrived:
                window -= event.credit
                event = self._take_data(event)
            elif type(event) is ResetArrived:
                self._reset(event.stream_id)
            elif type(event) is PeerLeft:
                self._peer_left()
            events.append(event)
        # What took from the window and is in no event came on streams that had ended. Every 8 MiB
        # of it h2 gives some credit back by itself, and that message's part cannot be told.
        late = window - self._h2.inbound_flow_control_window
        if late > 0:
            self._data_path.receive_late(late)
        return events

    def _take_data(self, event: DataArrived) -> DataArrived:
        """Account for DATA that h2 has seen, and deliver it; returns what is left to report."""
        inbound = self._data_path.open_streams.get(event.stream_id)
        if inbound is not None:
            inbound.h2_received()
        sink = self._data_path.sink(event.stream_id)
        if sink is None:
            return event
        if event.data:
            sink(event.data)
        return DataArrived(event.stream_id, b"", event.credit - len(event.data))
