"""All fuzz targets, with hypothesis: anything, and valid inputs that were changed a little."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.seeds import seeds
from tests.fuzz.targets import TARGETS, cut

NAMES = sorted(TARGETS)


@st.composite
def changed_seeds(draw: st.DrawFn, name: str) -> bytes:
    """Cut valid bytes, repeat them, and change a few."""
    data = bytearray(b"".join(one[1:] for one in seeds(name)) * draw(st.integers(1, 3)))
    for _ in range(draw(st.integers(0, 3))):
        position = draw(st.integers(0, len(data) - 1))
        data[position] = draw(st.integers(0, 255))
    del data[draw(st.integers(0, len(data))) :]
    sizes = draw(st.lists(st.integers(0, 255), max_size=7))
    return bytes([len(sizes), *sizes]) + bytes(data)


@pytest.mark.parametrize("name", NAMES)
def test_seeds_are_taken(name: str) -> None:
    """As they are, and cut after each byte at the start."""
    for seed in seeds(name):
        TARGETS[name](seed)
        TARGETS[name](b"\7" + bytes([1] * 7) + seed[1:])


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_any_bytes_are_taken_or_refused(name: str, data: st.DataObject) -> None:
    """Never with an error that is not the decoder's own."""
    TARGETS[name](data.draw(st.binary(max_size=400)))


@pytest.mark.parametrize("name", NAMES)
@given(data=st.data())
def test_changed_seeds_are_taken_or_refused(name: str, data: st.DataObject) -> None:
    """The same, deeper inside."""
    TARGETS[name](data.draw(changed_seeds(name)))


def test_cuts_lose_nothing() -> None:
    """The pieces are the rest of the input."""
    assert cut(b"") == []
    assert cut(b"\2\1\3abcdef") == [b"a", b"bcd", b"ef"]
