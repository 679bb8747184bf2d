"""One log file: opened safely, read in pieces, searched from its end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_runtime.logs import log_file
from edge_runtime.logs.descriptor import LogReadError
from edge_runtime.logs.log_file import PIECE_BYTES, LogFile


def record(text: str, *, tag: str = "F") -> bytes:
    """One record of a log."""
    return f"2026-01-02T03:04:05Z stdout {tag} {text}\n".encode()


def read_all(file: LogFile) -> bytes:
    """Read to the end."""
    pieces = []
    while data := file.read():
        assert len(data) <= PIECE_BYTES
        pieces.append(data)
    return b"".join(pieces)


def test_links_and_pipes_are_refused(tmp_path: Path) -> None:
    """A container that can write to the folder must not make us read a secret, or hang."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    link, pipe = tmp_path / "link.log", tmp_path / "pipe.log"
    link.symlink_to(secret)
    os.mkfifo(pipe)
    for path in (link, pipe, tmp_path, tmp_path / "missing.log"):
        with pytest.raises(LogReadError) as refused:
            LogFile(str(path))
        assert str(path) in str(refused.value)


def test_the_file_grows_and_is_cut(tmp_path: Path) -> None:
    """What is added is read next; a file that was cut is read from its start."""
    path = tmp_path / "0.log"
    path.write_bytes(b"first\n")
    with LogFile(str(path)) as file:
        assert read_all(file) == b"first\n"
        assert read_all(file) == b""
        with path.open("ab") as log:
            log.write(b"second\n")
        assert read_all(file) == b"second\n"
        path.write_bytes(b"new\n")
        assert read_all(file) == b"new\n"


def test_a_cut_is_counted(tmp_path: Path) -> None:
    """So that a reader does not join a torn record with the new first one."""
    path = tmp_path / "0.log"
    path.write_bytes(b"first\nto")
    with LogFile(str(path)) as file:
        read_all(file)
        assert file.cuts == 0
        path.write_bytes(b"new\n")
        assert (read_all(file), file.cuts) == (b"new\n", 1)


def test_a_closed_file_is_not_read(tmp_path: Path) -> None:
    """Its descriptor may be another file's by then."""
    path = tmp_path / "0.log"
    path.write_bytes(b"x\n")
    file = LogFile(str(path))
    with file._descriptor.lend() as fd:
        file.close()
        assert os.pread(fd, 1, 0) == b"x"
    with pytest.raises(LogReadError, match="closed"):
        file.read()


@pytest.mark.parametrize("lines", [0, 1, 3, 9, 10, 1000])
def test_tail(tmp_path: Path, lines: int) -> None:
    """The last lines, however many there are."""
    path = tmp_path / "0.log"
    records = [record(f"line {number}") for number in range(10)]
    path.write_bytes(b"".join(records))
    with LogFile(str(path)) as file:
        file.seek_tail(lines)
        assert read_all(file) == b"".join(records[len(records) - min(lines, 10) :])


@pytest.mark.parametrize("lines", [1, 2, 3, 40, 100])
def test_tail_over_many_pieces(tmp_path: Path, lines: int) -> None:
    """Lines longer than what is read at once, and lines of several parts."""
    path = tmp_path / "0.log"
    records = [
        record("x" * (PIECE_BYTES // 7), tag="P") * (number % 3) + record(f"end {number}")
        for number in range(40)
    ]
    records[20] = record("y" * (2 * PIECE_BYTES))
    path.write_bytes(b"".join(records))
    with LogFile(str(path)) as file:
        file.seek_tail(lines)
        assert read_all(file) == b"".join(records[-lines:])


def test_tail_of_nothing(tmp_path: Path) -> None:
    """An empty log has no last line."""
    path = tmp_path / "0.log"
    path.touch()
    with LogFile(str(path)) as file:
        file.seek_tail(5)
        assert read_all(file) == b""


def test_file_that_nobody_closes_is_closed_with_its_value(tmp_path: Path) -> None:
    """A client may go while a thread opens its log; and the number is closed once only."""
    path = tmp_path / "0.log"
    path.write_text("x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    LogFile(str(path))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    file = LogFile(str(path))
    file.close()
    with path.open() as other:  # gets the same number
        file.close()
        assert other.read() == "x"


def stamped(second: int, text: str) -> bytes:
    """One record of that second."""
    return f"2026-01-02T03:{second // 60:02}:{second % 60:02}Z stdout F {text}\n".encode()


FIRST_NS = 1767323040_000000000  # 2026-01-02T03:04:00Z


@pytest.mark.parametrize("width", [10, 5_000, 200_000])
@pytest.mark.parametrize("second", [0, 240, 241, 300, 479, 480, 900])
def test_a_time_is_found_without_reading_what_is_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, second: int
) -> None:
    """Never behind the first line of that time, and not far before it, in a file past the limit."""
    monkeypatch.setattr(log_file, "UNSAMPLED_BYTES", 1_000_000)
    path = tmp_path / "0.log"
    count = max(2_000_000 // width, 40)
    records = [stamped(240 + 240 * at // count, f"{at:x<{width}}") for at in range(count)]
    path.write_bytes(b"".join(records))
    expected = next((at for at in range(count) if 240 + 240 * at // count >= second), count)
    with LogFile(str(path)) as file:
        is_found = file.seek_since(FIRST_NS + (second - 240) * 1_000_000_000)
        found = read_all(file)
    assert is_found or len(found) < 2 * max(1 << 16, width + 100)
    start = sum(map(len, records)) - len(found)
    exact = sum(map(len, records[:expected]))
    assert start <= exact
    assert exact - start <= 2 * max(1 << 16, width + 100)
    assert found[:4] == b"2026"


@pytest.mark.parametrize("limit", [0, 16 << 20])
def test_a_clock_that_was_set_back_hides_no_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """What was written before it was set back is found by its time, and what follows comes too."""
    monkeypatch.setattr(log_file, "UNSAMPLED_BYTES", limit)
    path = tmp_path / "0.log"
    before = [stamped(second, "x" * 2000) for second in range(600, 800)]
    behind = [stamped(second, "y" * 2000) for second in range(100, 300)]
    path.write_bytes(b"".join(before + behind))
    with LogFile(str(path)) as file:
        assert file.seek_since(FIRST_NS + (700 - 240) * 1_000_000_000)
        found = read_all(file)
    assert b"".join(before[100:] + behind) in found


def test_one_line_of_a_clock_that_was_ahead_is_not_passed_over(tmp_path: Path) -> None:
    """A file of ordinary size is read, whatever the times around are."""
    path = tmp_path / "0.log"
    records = [stamped(second, "x" * 2000) for second in range(100, 400)]
    ahead = stamped(3000, "ahead")
    path.write_bytes(b"".join([*records[:150], ahead, *records[150:]]))
    with LogFile(str(path)) as file:
        assert file.seek_since(FIRST_NS + (2000 - 240) * 1_000_000_000)
        assert ahead in read_all(file)


def test_an_empty_file_has_no_line_of_any_time(tmp_path: Path) -> None:
    """So the lines of that time are looked for elsewhere."""
    path = tmp_path / "0.log"
    path.touch()
    with LogFile(str(path)) as file:
        assert not file.seek_since(FIRST_NS)
