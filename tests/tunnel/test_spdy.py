"""SPDY's frame headers and header blocks."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.spdy import HeaderWriter, data_frame
from tunnel.spdy import (
    HEADERS,
    MAX_HEADERS_BYTES,
    SYN_STREAM,
    HeaderBlocks,
    MalformedSpdy,
    control_type,
    encode_data,
    stream_of,
)


def test_blocks_of_one_direction_share_their_compression() -> None:
    """Names come in lower case."""
    writer, blocks = HeaderWriter(), HeaderBlocks()
    for number in (1, 3, 5):
        frame = writer.syn_stream(number, {"StreamType": f"t{number}"})
        assert blocks.inflate(SYN_STREAM, frame[8:]) == {b"streamtype": f"t{number}".encode()}
    assert blocks.inflate(HEADERS, writer.headers(1, {"a": "b"})[8:]) == {b"a": b"b"}


@given(st.binary(max_size=100))
def test_rubbish_is_malformed(payload: bytes) -> None:
    """Whatever it is, nothing else is raised."""
    try:
        HeaderBlocks().inflate(SYN_STREAM, payload)
    except MalformedSpdy:
        return


def test_a_bomb_is_malformed() -> None:
    """A few bytes that inflate to megabytes."""
    frame = HeaderWriter().syn_stream(1, {"x": "0" * (2 * MAX_HEADERS_BYTES)})
    with pytest.raises(MalformedSpdy):
        HeaderBlocks().inflate(SYN_STREAM, frame[8:])


def test_frames_are_told_apart() -> None:
    """DATA by its first bit; another version is none of ours."""
    assert control_type(5) is None
    assert control_type(0x80030001) == SYN_STREAM
    with pytest.raises(MalformedSpdy):
        control_type(0x80020001)
    assert stream_of(struct.pack(">I", 0x80000007)) == 7
    with pytest.raises(MalformedSpdy):
        stream_of(b"abc")
    assert encode_data(7, b"x", is_last=True) == data_frame(7, b"x", fin=True)
