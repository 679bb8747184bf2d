"""A log file that rotation compressed."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.logs.compressed_log import CompressedLog
from edge_runtime.logs.descriptor import LogReadError
from edge_runtime.logs.log_file import PIECE_BYTES

if TYPE_CHECKING:
    from pathlib import Path


def record(text: str, tag: str = "F") -> bytes:
    """One record of a log."""
    return f"2026-01-02T03:04:05Z stdout {tag} {text}\n".encode()


def read_all(log: CompressedLog) -> bytes:
    """Read to the end, in bounded pieces."""
    pieces = []
    while data := log.read():
        assert len(data) <= PIECE_BYTES + 1_100_000
        pieces.append(data)
    return b"".join(pieces)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the file is."""
    return tmp_path / "0.log.20260102-030405.gz"


def test_what_expands_a_thousandfold_comes_in_pieces(path: Path) -> None:
    """Memory does not grow with what is in the file."""
    data = record("x" * 1000) * 50_000
    path.write_bytes(gzip.compress(data))
    log = CompressedLog(str(path))
    assert log.head() == data[:256]
    assert log.first_time_ns() == 1767323045_000000000
    assert read_all(log) == data
    assert log.read() == b""
    assert not log.is_empty()


def test_several_gzip_files_in_one(path: Path) -> None:
    """As `cat a.gz b.gz` makes."""
    path.write_bytes(gzip.compress(record("a")) + gzip.compress(b"") + gzip.compress(record("b")))
    assert read_all(CompressedLog(str(path))) == record("a") + record("b")


def test_an_empty_log(path: Path) -> None:
    """Compressed or no byte at all."""
    for data in (gzip.compress(b""), b""):
        path.write_bytes(data)
        log = CompressedLog(str(path))
        assert (log.is_empty(), log.first_time_ns(), read_all(log)) == (True, None, b"")


@pytest.mark.parametrize("kept", [5, 100, -5])
def test_a_torn_file_is_an_error(path: Path, kept: int) -> None:
    """A part is never taken for the whole."""
    path.write_bytes(gzip.compress(b"".join(record(str(at)) for at in range(9999)))[:kept])
    with pytest.raises(LogReadError, match="cut off"):
        read_all(CompressedLog(str(path)))


@given(st.lists(st.tuples(st.text("ab", max_size=5), st.booleans()), max_size=30), st.data())
def test_tail_is_that_of_the_file_itself(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, bool]], data: st.DataObject
) -> None:
    """Whatever lines and parts there are."""
    path = tmp_path_factory.mktemp("log") / "0.log.1.gz"
    records = [record(text, "P" if is_part else "F") for text, is_part in rows]
    path.write_bytes(gzip.compress(b"".join(records)))
    starts = [0, *(at + 1 for at, (_, is_part) in enumerate(rows) if not is_part)]
    if not rows or rows[-1][1] is False:
        starts.pop()
    wanted = data.draw(st.integers(1, len(starts) + 2))
    log = CompressedLog(str(path))
    missing = log.seek_tail(wanted, is_end=True)
    if wanted < len(starts):
        assert missing is None
        assert read_all(log) == b"".join(records[starts[-wanted] :])
    else:
        assert missing == wanted - len(starts)
        assert read_all(log) == b"".join(records)
