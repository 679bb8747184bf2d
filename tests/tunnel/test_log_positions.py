"""Frames that tell how far a followed log was read."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnel.log_positions import (
    EXACT_LIMIT,
    MAX_TEXT_BYTES,
    LogFrameDecoder,
    LogFramesBroken,
    encode_frames,
    exact_limit,
    fraction_of_limit,
)


@given(
    st.lists(st.tuples(st.binary(max_size=50), st.integers(1, 1 << 63)), max_size=8),
    st.lists(st.integers(1, 40), min_size=1),
)
def test_frames_arrive_whole_however_they_are_cut(
    pieces: list[tuple[bytes, int]], cuts: list[int]
) -> None:
    """Each text with its own position, none before it is whole."""
    data = b"".join(encode_frames(text, position_ns=position) for text, position in pieces)
    decoder = LogFrameDecoder()
    found = []
    at = 0
    while at < len(data):
        cut = cuts[at % len(cuts)]
        found += decoder.receive_data(data[at : at + cut])
        at += cut
    assert [(each.text, each.position_ns) for each in found] == pieces
    assert not decoder.is_within_frame


def test_a_long_piece_has_its_position_at_its_end() -> None:
    """What comes before the end of it is not yet behind that position."""
    text = b"x" * (MAX_TEXT_BYTES + 1)
    frames = LogFrameDecoder().receive_data(encode_frames(text, position_ns=7))
    assert [(len(each.text), each.position_ns) for each in frames] == [(MAX_TEXT_BYTES, 0), (1, 7)]


def test_no_position_is_no_change() -> None:
    """Before the first whole line there is none."""
    (frame,) = LogFrameDecoder().receive_data(encode_frames(b"x", position_ns=None))
    assert (frame.text, frame.position_ns) == (b"x", 0)


def test_a_frame_without_end_is_refused_before_it_is_kept() -> None:
    """Another machine says how long it is."""
    with pytest.raises(LogFramesBroken, match="2097153"):
        LogFrameDecoder().receive_data(struct.pack(">IQ", MAX_TEXT_BYTES + 1, 0))


@given(st.integers(0, 1 << 62))
def test_a_limit_carries_the_fraction(time_ns: int) -> None:
    """And is one that the API takes: positive, 64 bits."""
    limit = exact_limit(time_ns)
    assert 0 < limit < 1 << 63
    assert fraction_of_limit(limit) == time_ns % 1_000_000_000


@pytest.mark.parametrize("limit", [None, 1, EXACT_LIMIT - 1, EXACT_LIMIT + 1_000_000_000])
def test_other_limits_are_limits(limit: int | None) -> None:
    """Nobody asks for nine exabytes but to carry something."""
    assert fraction_of_limit(limit) is None
