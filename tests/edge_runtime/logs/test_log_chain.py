"""The files of one log, over rotations."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.logs.cri_log import LogDecoder, LogOptions
from edge_runtime.logs.descriptor import LogNotFound, LogReadError
from edge_runtime.logs.log_chain import MAX_KEPT_FILES, LogChain
from edge_runtime.logs.log_time import TimestampParser

if TYPE_CHECKING:
    from pathlib import Path

SECOND_NS = 1767323040_000000000  # 2026-01-02T03:04:00Z


def record(number: int, tag: str = "F") -> bytes:
    """One record whose text is the second it was written in."""
    return f"2026-01-02T03:04:{number:02}Z stdout {tag} {number}\n".encode()


def lines(*numbers: int) -> bytes:
    """What is shown of such records."""
    return b"".join(b"%d\n" % number for number in numbers)


def compress(path: Path) -> None:
    """As rotation does."""
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def read(chain: LogChain, decoder: LogDecoder | None = None) -> bytes:
    """Read to the end of what is known."""
    decoder = decoder or LogDecoder(LogOptions())
    pieces = []
    is_end = False
    while not is_end:
        is_end, output = chain.read(decoder)
        pieces.append(output)
    return b"".join(pieces)


def asked(path: Path, options: LogOptions) -> bytes:
    """Read what was asked for."""
    chain = LogChain(str(path))
    try:
        decoder = LogDecoder(options)
        if chain.seek(options):
            decoder.show_all()
        return read(chain, decoder)
    finally:
        chain.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Two compressed files, one that was put aside, and the newest: four lines in each."""
    for at, name in enumerate(("20260102-030404", "20260102-030408", "20260102-030412", "")):
        path = tmp_path / f"0.log{'.' if name else ''}{name}"
        path.write_bytes(b"".join(record(4 * at + number) for number in range(4)))
        if name and at < 2:
            compress(path)
    (tmp_path / "0.log.20260102-030416.gz.tmp").write_bytes(b"torn")
    (tmp_path / "1.log").write_bytes(record(59))
    return tmp_path / "0.log"


def test_all_files_are_one_log(log: Path) -> None:
    """The oldest first; what is being compressed and other attempts' logs are none of it."""
    assert asked(log, LogOptions()) == lines(*range(16))


@pytest.mark.parametrize("count", range(19))
def test_tail_counts_over_files(log: Path, count: int) -> None:
    """As many lines as asked for, wherever they are."""
    assert asked(log, LogOptions(tail_lines=count)) == lines(*range(max(16 - count, 0), 16))


@pytest.mark.parametrize("second", range(18))
def test_since_finds_its_file(log: Path, second: int) -> None:
    """As many lines as asked for, wherever they are."""
    options = LogOptions(since_ns=SECOND_NS + second * 1_000_000_000)
    assert asked(log, options) == lines(*range(second, 16))


def test_a_time_that_is_no_whole_second_is_found_by_its_file_too(log: Path) -> None:
    """`--since=1m` is counted from now: no file is looked through for a line of that nanosecond."""
    log.with_name("0.log.20260102-030404.gz").write_bytes(gzip.compress(record(1))[:-9])
    options = LogOptions(since_ns=SECOND_NS + 13 * 1_000_000_000 + 123_456_789)
    assert asked(log, options) == lines(14, 15)
    with pytest.raises(LogReadError, match="cut off"):
        asked(log, LogOptions(since_ns=options.since_ns, is_resumed=True))


def test_compressed_files_are_not_expanded_for_what_is_in_others(log: Path) -> None:
    """One that is broken does not matter to who asks for the newest lines."""
    log.with_name("0.log.20260102-030408.gz").write_bytes(b"no gzip")
    assert asked(log, LogOptions(tail_lines=7)) == lines(*range(9, 16))
    with pytest.raises(LogReadError, match=r"030408\.gz.*cannot be expanded"):
        asked(log, LogOptions())


@pytest.mark.parametrize("count", range(1, 5))
def test_a_line_that_goes_on_over_a_rotation_is_one(tmp_path: Path, count: int) -> None:
    """It is joined and counted once, compressed or not."""
    log = tmp_path / "0.log"
    aside = tmp_path / "0.log.20260102-030404"
    aside.write_bytes(record(1) + record(2, "P") + record(3, "P"))
    log.write_bytes(record(4) + record(5))
    wanted = [b"1\n", b"234\n", b"5\n"]
    for _ in range(2):
        assert asked(log, LogOptions(tail_lines=count)) == b"".join(wanted[-count:])
        if aside.exists():
            compress(aside)


def test_tail_sees_behind_an_empty_file(tmp_path: Path) -> None:
    """Right after a rotation the newest file has no line, and the last ones are before it."""
    log = tmp_path / "0.log"
    (tmp_path / "0.log.20260102-030404").write_bytes(record(1) + record(2) + record(3, "P"))
    log.touch()
    assert asked(log, LogOptions(tail_lines=2)) == b"2\n3"
    assert asked(log, LogOptions(tail_lines=0)) == b""
    log.unlink()
    assert asked(log, LogOptions(tail_lines=2)) == b"2\n3"
    compress(tmp_path / "0.log.20260102-030404")
    assert asked(log, LogOptions(tail_lines=1)) == b"3"
    assert asked(log, LogOptions(tail_lines=0)) == b""


def test_without_any_file_there_is_no_log(tmp_path: Path) -> None:
    """With the name that was looked for."""
    with pytest.raises(LogNotFound, match=r"0\.log.*No such file"):
        LogChain(str(tmp_path / "0.log"))


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "second name", "linked folder"])
def test_what_is_no_log_is_refused(log: Path, tmp_path: Path, kind: str) -> None:
    """Also in place of a file that was put aside: it must not make us read a secret, or hang."""
    planted = log.with_name("0.log.20260102-030499")
    secret = tmp_path / "secret"
    secret.write_bytes(record(42))
    match kind:
        case "link":
            planted.symlink_to(secret)
        case "pipe":
            os.mkfifo(planted)
        case "folder":
            planted.mkdir()
        case "second name":
            planted.hardlink_to(secret)
        case _:
            (tmp_path / "linked").symlink_to(log.parent, target_is_directory=True)
            log = tmp_path / "linked/0.log"
    with pytest.raises(LogReadError):
        LogChain(str(log))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_another_users_file_is_refused(log: Path) -> None:
    """The runtime's files are root's."""
    os.chown(log, 1234, 1234)
    with pytest.raises(LogReadError, match="another user"):
        LogChain(str(log))


def rotate(log: Path, stamp: str, text: bytes = b"") -> Path:
    """Put the log aside, and begin it anew."""
    aside = log.rename(log.with_name(f"{log.name}.{stamp}"))
    log.write_bytes(text)
    return aside


def test_extension_finds_all_that_was_begun_since(log: Path) -> None:
    """Two rotations, and the first file is compressed by then."""
    chain = LogChain(str(log))
    assert read(chain) == lines(*range(16))
    assert not chain.extend()
    compress(rotate(log, "20260102-030420", record(20)))
    rotate(log, "20260102-030424", record(21))
    assert chain.extend()
    assert not chain.extend()
    assert read(chain) == lines(20, 21)


def test_what_waits_is_read_although_it_is_dropped(log: Path) -> None:
    """A follower that lags behind loses nothing of what was known to it."""
    chain = LogChain(str(log))
    rotate(log, "20260102-030420", record(20))
    assert chain.extend()
    for each in log.parent.glob("0.log*"):
        each.unlink()
    assert read(chain) == lines(*range(16), 20)


def test_what_was_dropped_before_it_was_known_is_an_error(log: Path) -> None:
    """The lines after it would look as if they came next."""
    chain = LogChain(str(log))
    read(chain)
    rotate(log, "20260102-030420", record(20)).unlink()
    rotate(log, "20260102-030424", record(21))
    with pytest.raises(LogReadError, match="dropped by rotation before it was read"):
        chain.extend()


def test_a_removed_log_is_followed_by_the_new_one(log: Path) -> None:
    """Somebody removed it, the runtime began it anew: nothing lies between."""
    chain = LogChain(str(log))
    read(chain)
    log.unlink()
    assert not chain.extend()
    log.write_bytes(record(20))
    assert chain.extend()
    assert read(chain) == lines(20)


def test_few_files_are_kept_for_a_slow_follower(log: Path) -> None:
    """What they take of the disk is not free before he has read them."""
    chain = LogChain(str(log))
    for number in range(20, 20 + 2 * MAX_KEPT_FILES):
        rotate(log, f"20260102-0304{number}", record(number))
        chain.extend()
    assert len(chain._files) == MAX_KEPT_FILES


def test_a_torn_record_at_the_end_of_a_file_ends_there(tmp_path: Path) -> None:
    """It does not swallow the first one of the next file."""
    log = tmp_path / "0.log"
    (tmp_path / "0.log.20260102-030404").write_bytes(record(1) + record(2)[:-1])
    log.write_bytes(record(3))
    assert asked(log, LogOptions()) == lines(1, 2, 3)


# The clock is set back after each third line; fractions are written as short as they are.
JUMPING = [
    f"2026-01-02T03:04:{(0, 20, 40, 10, 30, 50, 5, 25, 45)[at]:02}.{at + 1:03}" for at in range(9)
]


@pytest.mark.parametrize("at", range(9))
@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_follower_goes_on_where_it_was_although_the_clock_was_set_back(
    tmp_path: Path, at: int, *, is_compressed: bool
) -> None:
    """No line twice and none missing, in whichever file it was."""
    records = [f"{time}Z stdout F {at}\n".encode() for at, time in enumerate(JUMPING)]
    older = tmp_path / "0.log.20260102-030404"
    older.write_bytes(b"".join(records[:5]))
    (tmp_path / "0.log").write_bytes(b"".join(records[5:]))
    if is_compressed:
        compress(older)
    last_ns = TimestampParser().parse(f"{JUMPING[at]}Z".encode())
    assert last_ns is not None
    found = asked(tmp_path / "0.log", LogOptions(since_ns=last_ns + 1, is_resumed=True))
    assert found == lines(*range(at + 1, 9))


@given(
    files=st.lists(st.lists(st.integers(0, 59), max_size=6), min_size=1, max_size=4),
    second=st.integers(0, 60),
)
def test_since_finds_each_line_of_all_files_whichever_way_the_clock_went(
    tmp_path_factory: pytest.TempPathFactory, files: list[list[int]], second: int
) -> None:
    """Not only where the first one is: a line of the future may lie in any file."""
    folder = tmp_path_factory.mktemp("log")
    for index, seconds in enumerate(files):
        name = "0.log" if index == len(files) - 1 else f"0.log.20260102-03040{index}"
        (folder / name).write_bytes(b"".join(map(record, seconds)))
    options = LogOptions(since_ns=SECOND_NS + second * 1_000_000_000)
    wanted = [each for seconds in files for each in seconds if each >= second]
    assert asked(folder / "0.log", options) == lines(*wanted)


@given(
    sizes=st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=6),
    second=st.integers(0, 30),
    is_resumed=st.booleans(),
)
def test_since_in_files_of_any_kind(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[tuple[int, bool]],
    second: int,
    *,
    is_resumed: bool,
) -> None:
    """Compressed or not, empty ones among them, and times that come twice."""
    folder = tmp_path_factory.mktemp("log")
    at = 0
    wanted = []
    for index, (count, is_compressed) in enumerate(sizes):
        is_newest = index == len(sizes) - 1
        path = folder / ("0.log" if is_newest else f"0.log.20260102-03040{index}")
        numbers = [(at + each) // 2 for each in range(count)]
        path.write_bytes(b"".join(map(record, numbers)))
        if is_compressed and not is_newest:
            compress(path)
        wanted += [each for each in numbers if each >= second + is_resumed]
        at += count
    since_ns = SECOND_NS + second * 1_000_000_000 + is_resumed
    options = LogOptions(since_ns=since_ns, is_resumed=is_resumed)
    assert asked(folder / "0.log", options) == lines(*wanted)


def test_a_line_of_the_future_in_an_older_file_is_found(log: Path) -> None:
    """The one that was put aside last is not compressed, and is read."""
    aside = log.with_name("0.log.20260102-030412")
    aside.write_bytes(record(8) + record(50) + record(9))
    options = LogOptions(since_ns=SECOND_NS + 14 * 1_000_000_000)
    assert asked(log, options) == lines(50, 14, 15)
