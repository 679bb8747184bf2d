"""Sealed values open with their key, in their row, and nowhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.store.errors import StoreDamaged
from edge_runtime.store.sealing import Sealer, compute_key_id, is_sealed, make_key

KEY = bytes(range(32))
ROW = ("objects", "Secret", "ns", "a")


@given(plain=st.binary(max_size=3000), row=st.lists(st.text(max_size=20), max_size=4))
def test_what_is_sealed_opens_again(plain: bytes, row: list[str]) -> None:
    """Also nothing at all, and by another process with the same key."""
    sealed = Sealer(KEY).seal(plain, row=row)
    assert is_sealed(sealed)
    assert Sealer(KEY).open(sealed, row=row) == plain


def test_nothing_of_the_value_is_in_what_is_sealed() -> None:
    """And the same value looks different each time."""
    sealer = Sealer(KEY)
    first, second = (sealer.seal(b"hunter2" * 10, row=ROW) for _ in range(2))
    assert b"hunter2" not in first
    assert first[13:] != second[13:]


@pytest.mark.parametrize(
    "row",
    [("objects", "Secret", "ns", "b"), ("objects", "Secret", "n", "sa"), ("tokens", "Secret/ns/a")],
)
def test_value_in_the_place_of_another_is_refused(row: tuple[str, ...]) -> None:
    """Whoever can write the file cannot give one pod's secret to another."""
    sealed = Sealer(KEY).seal(b"x", row=ROW)
    with pytest.raises(StoreDamaged, match="is not what was sealed"):
        Sealer(KEY).open(sealed, row=row)


@pytest.mark.parametrize("value", [b"", b"\x01", b"\x01" * 20, b'{"kind":"Secret"}'])
def test_what_was_never_sealed_does_not_open(value: bytes) -> None:
    """An unsealed value put in the place of a sealed one is refused, too."""
    with pytest.raises(StoreDamaged, match="the stored objects/Secret/ns/a is not"):
        Sealer(KEY).open(value, row=ROW)


def test_another_key_opens_nothing() -> None:
    """And the error has nothing of the value."""
    sealed = Sealer(KEY).seal(b"x", row=ROW)
    with pytest.raises(StoreDamaged):
        Sealer(make_key()).open(sealed, row=ROW)


def test_keys_are_new_and_their_names_tell_nothing() -> None:
    """The name is stored beside what the key seals."""
    key = make_key()
    assert len(key) == 32
    assert key != make_key()
    assert compute_key_id(key) == compute_key_id(key) == Sealer(key).key_id
    assert key.hex() not in compute_key_id(key)
    assert compute_key_id(key) != compute_key_id(KEY)


def test_json_is_not_taken_for_sealed() -> None:
    """What an earlier version stored."""
    assert not is_sealed(b'{"kind":"Secret","data":{}}')
    assert not is_sealed(b"")
