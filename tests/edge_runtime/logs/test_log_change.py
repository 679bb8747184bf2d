"""What inotify tells of a log's folder, and what it means for one log."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import pytest
from asyncinotify import Inotify, Mask
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.logs.log_change import LogChange, decode_change

if TYPE_CHECKING:
    from pathlib import Path

LOG = b"0.log"
MODIFY, MOVED_TO, CREATE, OVERFLOW = 0x2, 0x80, 0x100, 0x4000


def event(mask: int, name: bytes = b"", *, padding: int = 0) -> bytes:
    """One event as the kernel writes it."""
    filled = name + bytes(padding)
    return struct.pack("=iIII", 1, mask, 0, len(filled)) + filled


@pytest.mark.parametrize(
    ("mask", "name", "expected"),
    [
        (MODIFY, b"0.log", LogChange.GROWN),
        (MODIFY, b"0.log.20260102-030405", LogChange.GROWN),
        (CREATE, b"0.log", LogChange.REPLACED),
        (MOVED_TO, b"0.log.20260102-030405", LogChange.REPLACED),
        (MODIFY, b"1.log", None),
        (CREATE, b"0.log2", None),
        (CREATE, b"", None),
        (OVERFLOW, b"", LogChange.REPLACED),
    ],
)
def test_only_the_log_and_what_was_put_aside_of_it_count(
    mask: int, name: bytes, expected: LogChange | None
) -> None:
    """Others write in the same folder."""
    assert decode_change(event(mask, name, padding=3), LOG) is expected


def test_nothing_is_no_change() -> None:
    """An empty read has no events."""
    assert decode_change(b"", LOG) is None


EVENTS = st.lists(
    st.tuples(
        st.sampled_from([MODIFY, CREATE, MOVED_TO, OVERFLOW]),
        st.sampled_from([b"0.log", b"0.log.1", b"1.log", b"", b"x"]),
        st.integers(0, 16),
    ),
    max_size=20,
)


@given(EVENTS)
def test_of_several_events_the_gravest_counts(events: list[tuple[int, bytes, int]]) -> None:
    """A log that grew and was replaced was replaced, in whichever order."""
    encoded = [event(mask, name, padding=padding) for mask, name, padding in events]
    changes = [change for each in encoded if (change := decode_change(each, LOG)) is not None]
    assert decode_change(b"".join(encoded), LOG) is max(changes, default=None)


def test_events_of_a_real_kernel_are_read(tmp_path: Path) -> None:
    """The layout is the machine's own."""
    log = tmp_path / "0.log"
    with Inotify() as inotify:
        inotify.add_watch(tmp_path, Mask.MODIFY | Mask.CREATE | Mask.MOVED_TO)
        log.write_bytes(b"")
        assert decode_change(os.read(inotify.fd, 4096), LOG) is LogChange.REPLACED
        log.write_bytes(b"line\n")
        (tmp_path / "other").write_bytes(b"line\n")
        assert decode_change(os.read(inotify.fd, 4096), LOG) is LogChange.GROWN
        log.rename(tmp_path / "0.log.1")
        assert decode_change(os.read(inotify.fd, 4096), LOG) is LogChange.REPLACED
