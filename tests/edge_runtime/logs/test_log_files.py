"""What is in the folder of a log is ours, or left alone."""

from __future__ import annotations

import gzip
import os
from typing import TYPE_CHECKING

import pytest

from edge_runtime.logs.descriptor import LogReadError
from edge_runtime.logs.log_files import (
    give_back,
    log_size_bytes,
    make_room,
    put_aside,
    remove_log_files,
)

if TYPE_CHECKING:
    from pathlib import Path

OLD = "0.log.20260101-000000"
NEXT = "0.log.20260101-000010"


def _names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_the_oldest_go_and_others_are_compressed(tmp_path: Path) -> None:
    """With the file's own rights; the newest name is told."""
    for number in range(4):
        (tmp_path / f"0.log.{number}").write_text(f"{number}")
    (tmp_path / "0.log.3").chmod(0o640)
    assert make_room(tmp_path / "0.log", max_files=4) == "0.log.3"
    assert _names(tmp_path) == ["0.log.2.gz", "0.log.3.gz"]
    assert gzip.decompress((tmp_path / "0.log.3.gz").read_bytes()) == b"3"
    assert (tmp_path / "0.log.3.gz").stat().st_mode & 0o777 == 0o640


def test_a_link_is_not_compressed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What it leads to would be shown as a log."""
    (tmp_path / "secret").write_text("not a log")
    (tmp_path / OLD).symlink_to(tmp_path / "secret")
    (tmp_path / NEXT).write_text("a log")
    make_room(tmp_path / "0.log", max_files=5)
    assert _names(tmp_path) == [OLD, f"{NEXT}.gz", "secret"]
    assert "a log is not compressed" in caplog.text


def test_a_file_with_a_second_name_is_not_compressed(tmp_path: Path) -> None:
    """It may be any file of the disk, and would be shown as a log."""
    (tmp_path / "other").write_text("not a log")
    (tmp_path / OLD).hardlink_to(tmp_path / "other")
    make_room(tmp_path / "0.log", max_files=5)
    assert _names(tmp_path) == [OLD, "other"]


def test_nothing_is_written_through_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that comes just before the compressed file: else any file could be overwritten."""
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    (tmp_path / OLD).write_text("a log")
    make = os.open

    def after_the_link(path: str, flags: int, *args: int, **kwargs: int) -> int:
        if path == f"{OLD}.tmp":
            (tmp_path / path).symlink_to(victim)
        return make(path, flags, *args, **kwargs)

    monkeypatch.setattr(os, "open", after_the_link)
    with pytest.raises(FileExistsError):
        make_room(tmp_path / "0.log", max_files=5)
    assert victim.read_text() == "as it was"
    assert (tmp_path / OLD).read_text() == "a log"


def test_another_users_file_is_not_compressed(tmp_path: Path) -> None:
    """It stays until it is the oldest."""
    (tmp_path / OLD).write_text("a log")
    if os.geteuid() != 0:
        pytest.skip("needs root")
    os.chown(tmp_path / OLD, 1234, 1234)
    make_room(tmp_path / "0.log", max_files=5)
    assert _names(tmp_path) == [OLD]


def test_folders_are_nobodys(tmp_path: Path) -> None:
    """One of such a name does not keep a log from being rotated."""
    (tmp_path / OLD).mkdir()
    assert make_room(tmp_path / "0.log", max_files=2) == ""
    assert _names(tmp_path) == [OLD]


def test_put_aside_and_given_back(tmp_path: Path) -> None:
    """A new file stays: the runtime writes to it."""
    log = tmp_path / "0.log"
    log.write_text("old")
    put_aside(log, name=OLD)
    assert log_size_bytes(log) is None
    give_back(log, name=OLD)
    assert log.read_text() == "old"
    put_aside(log, name=OLD)
    log.write_text("new")
    give_back(log, name=OLD)
    assert (log.read_text(), (tmp_path / OLD).read_text()) == ("new", "old")
    assert log_size_bytes(log) == 3


def test_a_whole_log_is_removed(tmp_path: Path) -> None:
    """With all that was put aside, and nobody else's; links and pipes by their names."""
    (tmp_path / "10.log").write_text("another's")
    for name in ("0.log", OLD, f"{NEXT}.gz", f"{NEXT}.tmp"):
        (tmp_path / name).touch()
    (tmp_path / "0.log.link").symlink_to(tmp_path / "10.log")
    os.mkfifo(tmp_path / "0.log.pipe")
    remove_log_files(tmp_path / "0.log")
    assert _names(tmp_path) == ["10.log"]
    remove_log_files(tmp_path / "none" / "0.log")


def test_nothing_is_done_behind_a_link(tmp_path: Path) -> None:
    """A container's folder that leads elsewhere."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/0.log").write_text("another's")
    (tmp_path / "c").symlink_to("elsewhere")
    log = tmp_path / "c/0.log"
    remove_log_files(log)
    for refused in (
        lambda: put_aside(log, name=OLD),
        lambda: make_room(log, max_files=2),
        lambda: log_size_bytes(log),
    ):
        with pytest.raises(LogReadError):
            refused()
    assert _names(tmp_path / "elsewhere") == ["0.log"]
