"""Fragments of the sync stream."""

from __future__ import annotations

import itertools
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunnel.errors import SyncError
from tunnel.sync import MAX_MESSAGE_BYTES
from tunnel.sync_fragments import MAX_FRAGMENT_BYTES, FragmentReader, encode_fragments


def _cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(
    st.lists(st.binary(max_size=300) | st.integers(0, 200_000).map(bytes), max_size=4),
    st.lists(st.integers(0, 1 << 20), max_size=12),
)
def test_fragments_survive_any_cutting(payloads: list[bytes], cuts: list[int]) -> None:
    """Messages come out whole and in order, wherever reads end."""
    wire = b"".join(fragment for p in payloads for fragment in encode_fragments(p))
    reader = FragmentReader()
    received: list[bytes] = []
    for piece in _cut(wire, cuts):
        received += reader.receive_data(piece)
    assert received == payloads
    assert reader.is_empty


def test_fragments_are_at_most_64_kib() -> None:
    """Header included; all but the last are full."""
    fragments = list(encode_fragments(bytes(200_000)))
    assert [len(fragment) for fragment in fragments[:-1]] == [64 << 10] * 3
    assert len(list(encode_fragments(bytes((64 << 10) - 5)))) == 1


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (struct.pack(">IB", (64 << 10) - 4, 0), "fragment of"),
        (struct.pack(">IB", 0xFFFFFFFF, 0), "fragment of"),
        (struct.pack(">IB", 1, 2) + b"x", "flags"),
    ],
)
def test_impossible_fragment_is_refused_at_its_header(wire: bytes, reason: str) -> None:
    """Before anything is collected for it."""
    with pytest.raises(SyncError, match=reason):
        FragmentReader().receive_data(wire)


def test_message_without_end_is_refused() -> None:
    """At 8 MiB, not when memory is gone."""
    reader = FragmentReader()
    room = MAX_FRAGMENT_BYTES - 5
    fragment = struct.pack(">IB", room, 1) + bytes(room)
    for _ in range(MAX_MESSAGE_BYTES // room):
        assert reader.receive_data(fragment) == []
    with pytest.raises(SyncError, match="message of more than"):
        reader.receive_data(fragment)


def test_torn_message_is_seen_at_the_end() -> None:
    """A stream that ends inside a message is not at a boundary."""
    reader = FragmentReader()
    wire: Any = next(encode_fragments(b"abc"))
    reader.receive_data(wire[:-1])
    assert not reader.is_empty
