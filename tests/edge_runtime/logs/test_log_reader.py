"""A container's log as bytes, followed while it grows."""

from __future__ import annotations

import asyncio
import errno
import gzip
import os
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from edge_runtime.logs.cri_log import LogDecoder, LogOptions
from edge_runtime.logs.descriptor import LogReadError
from edge_runtime.logs.log_file import PIECE_BYTES
from edge_runtime.logs.log_reader import CHECK_PERIOD_S, read_logs

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path


def record(text: str) -> str:
    """One record of a log."""
    return f"2026-01-02T03:04:05Z stdout F {text}\n"


class Running:
    """Whether the container runs, as the test says."""

    def __init__(self, *, is_running: bool = True) -> None:
        self.is_running = is_running
        self.asked = 0

    async def __call__(self) -> bool:
        """Answer as the runtime would."""
        self.asked += 1
        return self.is_running


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of three lines."""
    path = tmp_path / "0.log"
    path.write_text(record("one") + record("two") + record("three"))
    return path


def append(path: Path, text: str) -> None:
    """Write one more line."""
    with path.open("a") as file:
        file.write(record(text))


def write(path: Path, text: str) -> None:
    """Make the file anew in place."""
    path.write_text(text)


def rotate(path: Path) -> Path:
    """Rename the log, as before the runtime opens it anew."""
    return path.rename(path.with_name("0.log.1"))


def open_descriptors() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


async def read_until(pieces: AsyncGenerator[bytes, None], expected: bytes) -> None:
    """Read until exactly this has come, within a second."""
    found = b""
    async with asyncio.timeout(CHECK_PERIOD_S):
        while found != expected:
            found += await anext(pieces)
            assert expected.startswith(found)


async def read_all(path: Path, options: LogOptions) -> bytes:
    """Read the log of a container that has ended."""
    ended = Running(is_running=False)
    return b"".join([piece async for piece in read_logs(str(path), options, is_running=ended)])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (LogOptions(), b"one\ntwo\nthree\n"),
        (LogOptions(tail_lines=2), b"two\nthree\n"),
        (LogOptions(tail_lines=0), b""),
        (LogOptions(limit_bytes=5), b"one\nt"),
        (LogOptions(tail_lines=2, limit_bytes=3), b"two"),
        (LogOptions(tail_lines=1, timestamps=True), b"2026-01-02T03:04:05.000000000Z three\n"),
        (LogOptions(since_ns=1 << 62), b""),
        (LogOptions(follow=True), b"one\ntwo\nthree\n"),
        (LogOptions(follow=True, tail_lines=1), b"three\n"),
    ],
)
async def test_the_log_of_an_ended_container(
    log: Path, options: LogOptions, expected: bytes
) -> None:
    """It ends at the end of the file, followed or not."""
    assert await read_all(log, options) == expected


async def test_the_first_piece_says_that_the_file_is_there(log: Path, tmp_path: Path) -> None:
    """A caller can still answer with an error when it is not."""
    write(log, "")
    async with aclosing(read_logs(str(log), LogOptions(follow=True), is_running=Running())) as ok:
        assert await anext(ok) == b""
    missing = read_logs(str(tmp_path / "1.log"), LogOptions(), is_running=Running())
    with pytest.raises(LogReadError, match=r"1\.log"):
        await anext(missing)


async def test_a_new_line_comes_at_once(log: Path) -> None:
    """Within a second, without asking the runtime for it."""
    running = Running()
    options = LogOptions(follow=True, tail_lines=0)
    async with aclosing(read_logs(str(log), options, is_running=running)) as pieces:
        assert await anext(pieces) == b""
        for text in ("four", "five"):
            append(log, text)
            await read_until(pieces, f"{text}\n".encode())


async def test_all_that_was_written_before_the_end_is_shown(log: Path) -> None:
    """The last line and the end come together; the line must not be lost."""
    running = Running()
    options = LogOptions(follow=True, tail_lines=0)
    async with aclosing(read_logs(str(log), options, is_running=running)) as pieces:
        assert await anext(pieces) == b""
        append(log, "last")
        running.is_running = False
        assert b"".join([piece async for piece in pieces]) == b"last\n"


async def test_following_goes_on_in_the_new_file(log: Path) -> None:
    """A rotation loses nothing: neither the end of the old file nor the start of the new one."""
    running = Running()
    async with aclosing(
        read_logs(str(log), LogOptions(follow=True, tail_lines=0), is_running=running)
    ) as pieces:
        assert await anext(pieces) == b""
        old = rotate(log)
        append(old, "old end")
        write(log, record("new"))
        await read_until(pieces, b"old end\nnew\n")
        running.is_running = False
        append(log, "end")
        assert b"".join([piece async for piece in pieces]) == b"end\n"


async def test_the_next_attempts_log_does_not_keep_it_alive(log: Path) -> None:
    """Its file lies in the same folder; only our container's end counts."""
    running = Running()
    async with (
        asyncio.timeout(3 * CHECK_PERIOD_S),
        asyncio.TaskGroup() as group,
        aclosing(
            read_logs(str(log), LogOptions(follow=True, tail_lines=0), is_running=running)
        ) as pieces,
    ):
        assert await anext(pieces) == b""

        async def next_attempt() -> None:
            while True:
                append(log.with_name("1.log"), "other")
                await asyncio.sleep(CHECK_PERIOD_S / 20)

        writer = group.create_task(next_attempt())
        running.is_running = False
        assert [piece async for piece in pieces] == []
        writer.cancel()


async def test_a_large_log_comes_in_bounded_pieces(log: Path) -> None:
    """Memory does not grow with the log."""
    line = record("x" * 200)
    write(log, line * (4 * PIECE_BYTES // len(line)))
    total = 0
    async for piece in read_logs(str(log), LogOptions(), is_running=Running()):
        assert len(piece) <= PIECE_BYTES + len(line)
        total += len(piece)
    assert total == 201 * (4 * PIECE_BYTES // len(line))


async def test_leaving_it_closes_everything(log: Path) -> None:
    """A follower that goes away leaves no descriptor behind."""
    before = open_descriptors()
    async with aclosing(
        read_logs(str(log), LogOptions(follow=True), is_running=Running())
    ) as pieces:
        assert await anext(pieces) == b""
        assert await anext(pieces) == b"one\ntwo\nthree\n"
    assert open_descriptors() == before


async def test_log_is_followed_where_the_kernel_has_no_watches_left(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Later by the fifth of a second, and not refused."""

    def refuse() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("edge_runtime.logs.log_watch.Inotify", refuse)
    running = Running()
    pieces = read_logs(str(log), LogOptions(follow=True, tail_lines=0), is_running=running)
    async with aclosing(pieces), asyncio.timeout(10):
        assert await anext(pieces) == b""
        append(log, "four")
        assert await anext(pieces) == b"four\n"
        running.is_running = False
        append(log, "five")
        assert [piece async for piece in pieces] == [b"five\n"]


@pytest.mark.parametrize("lag", [0, 3])
async def test_a_follower_misses_no_line_of_many_rotations(tmp_path: Path, lag: int) -> None:
    """Every line once and in order, compressed and dropped as fast as rotation goes."""
    path = tmp_path / "0.log"
    path.touch()
    running = Running()
    count, files = 12_000, 6

    def write_all() -> None:
        for file in range(files):
            with path.open("a") as log:
                for number in range(file * count // files, (file + 1) * count // files):
                    log.write(record(f"{number:<200}"))
            if file == files - 1:
                return
            aside = path.rename(tmp_path / f"0.log.20260102-0304{file:02}")
            path.touch()
            if file > lag:
                older = tmp_path / f"0.log.20260102-0304{file - 1:02}"
                older.with_name(f"{older.name}.gz").write_bytes(gzip.compress(older.read_bytes()))
                older.unlink()
            assert aside.exists()

    async def follow() -> bytes:
        pieces = read_logs(str(path), LogOptions(follow=True), is_running=running)
        return b"".join([piece async for piece in pieces])

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        followers = [group.create_task(follow()) for _ in range(3)]
        await asyncio.to_thread(write_all)
        running.is_running = False
    for follower in followers:
        assert follower.result().split() == [b"%d" % number for number in range(count)]


async def test_three_followers_of_a_fast_writer_take_bounded_memory(tmp_path: Path) -> None:
    """Each takes its own time; what is not taken is not read."""
    path = tmp_path / "0.log"
    line = record("x" * 1000)
    write(path, line * 20_000)
    running = Running(is_running=False)

    async def follow() -> int:
        total = 0
        async for piece in read_logs(str(path), LogOptions(follow=True), is_running=running):
            assert len(piece) <= PIECE_BYTES + len(line)
            total += len(piece)
        return total

    async with asyncio.timeout(30):
        totals = await asyncio.gather(follow(), follow(), follow())
    assert totals == [20_000 * 1001] * 3


async def test_a_line_of_a_mebibyte_and_bytes_that_are_no_text(log: Path) -> None:
    """They come as they were written: in parts that the runtime cut, joined."""
    text = bytes(range(10)) + b"\xff\xfe" + bytes(range(11, 256)) * 4096
    parts = [text[at : at + 16384] for at in range(0, len(text), 16384)]
    head = b"2026-01-02T03:04:05Z stdout "
    records = [head + b"P " + part + b"\n" for part in parts[:-1]]
    with log.open("wb") as file:
        file.writelines([*records, head + b"F " + parts[-1] + b"\n"])
    assert await read_all(log, LogOptions()) == text + b"\n"
    assert await read_all(log, LogOptions(tail_lines=1)) == text + b"\n"


async def test_a_log_that_is_cut_off_goes_on_from_its_start(log: Path) -> None:
    """Copied and truncated: the torn record does not swallow the first new one."""
    running = Running()
    async with aclosing(
        read_logs(str(log), LogOptions(follow=True, tail_lines=0), is_running=running)
    ) as pieces:
        assert await anext(pieces) == b""
        with log.open("a") as file:
            file.write(record("whole") + record("half")[:-1])
        await read_until(pieces, b"whole\n")
        write(log, record("new"))
        await read_until(pieces, b"half\nnew\n")


@pytest.mark.parametrize("start", range(7))
async def test_going_on_at_the_position_repeats_and_loses_nothing(
    tmp_path: Path, start: int
) -> None:
    """From wherever it broke off: lines of one microsecond, parts of lines, two streams."""
    path = tmp_path / "0.log"
    records = [
        f"2026-01-02T03:04:05.{100000000 + at}Z {stream} {tag} {text}\n"
        for at, (stream, tag, text) in enumerate(
            [
                ("stdout", "F", "a"),
                ("stdout", "P", "b1"),
                ("stderr", "F", "c"),
                ("stdout", "F", "b2"),
                ("stderr", "F", "d"),
                ("stdout", "F", "e"),
                ("stdout", "F", "f"),
            ]
        )
    ]
    write(path, "".join(records))
    decoder = LogDecoder(LogOptions())
    sent = decoder.receive_data("".join(records[:start]).encode())
    position_ns = decoder.position_ns
    options = LogOptions(since_ns=None if position_ns is None else position_ns + 1)
    rest = await read_all(path, options)
    whole = b"a\nb1c\nb2\nd\ne\nf\n"
    # Lines that were not whole come again, from their start.
    open_line = b"b1c\n" if start == 3 else b"b1" if start == 2 else b""
    assert sent.removesuffix(open_line) + rest == whole
