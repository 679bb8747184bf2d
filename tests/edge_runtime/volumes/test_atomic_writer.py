"""edge_runtime/volumes/atomic_writer.py."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.volumes import atomic_writer
from edge_runtime.volumes.atomic_writer import write_payload
from edge_runtime.volumes.payload import Payload, ProjectedFile, check_payload
from edge_runtime.volumes.plugin import VolumeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 1, 2, 15, 4, 5, tzinfo=UTC)


def files(mode: int = 0o644, /, **contents: str) -> Payload:
    """Return files by name; `__` stands for a slash."""
    return {
        name.replace("__", "/"): ProjectedFile(data=text.encode(), mode=mode)
        for name, text in contents.items()
    }


def seen(folder: Path) -> dict[str, str]:
    """Return what a container sees: the files below names that do not start with two dots."""
    found = {}
    for top in folder.iterdir():
        if top.name.startswith(".."):
            continue
        for each in [top] if top.is_file() else top.rglob("*"):
            if each.is_file():
                found[str(each.relative_to(folder))] = each.read_text()
    return found


def written(folder: Path) -> list[str]:
    """Return the names of the folders of files, by time."""
    return sorted(each.name for each in folder.iterdir() if each.name.startswith("..2"))


def test_files_are_seen_through_one_link(tmp_path: Path) -> None:
    """As a kubelet lays them out, so that tools which look for `..data` work."""
    assert write_payload(tmp_path, files(key="1", sub__deep__key="2"), now=NOW)
    assert seen(tmp_path) == {"key": "1", "sub/deep/key": "2"}
    assert os.readlink(tmp_path / "key") == "..data/key"
    assert os.readlink(tmp_path / "sub") == "..data/sub"
    (name,) = written(tmp_path)
    assert os.readlink(tmp_path / "..data") == name
    assert name.startswith("..2026_01_02_15_04_05.")


def test_modes_do_not_depend_on_the_process(tmp_path: Path) -> None:
    """Nor does the umask take anything away."""
    before = os.umask(0o077)
    try:
        payload = {
            "a": ProjectedFile(data=b"", mode=0o444),
            "sub/b": ProjectedFile(data=b"", mode=0o640),
            "none": ProjectedFile(data=b"x", mode=0),
        }
        write_payload(tmp_path, payload)
    finally:
        os.umask(before)
    modes = {
        each: stat.S_IMODE((tmp_path / "..data" / each).stat().st_mode)
        for each in ("", "a", "sub", "sub/b", "none")
    }
    assert modes == {"": 0o755, "a": 0o444, "sub": 0o755, "sub/b": 0o640, "none": 0}


def test_an_owner_gets_the_file_and_the_link(tmp_path: Path) -> None:
    """A token belongs to whoever runs in the pod."""
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    write_payload(tmp_path, {"token": ProjectedFile(data=b"t", mode=0o600, owner=1234)})
    assert (tmp_path / "token").stat().st_uid == 1234
    assert (tmp_path / "token").lstat().st_uid == 1234


def test_the_same_bytes_are_not_written_again(tmp_path: Path) -> None:
    """Whoever watches the folder is told of nothing."""
    write_payload(tmp_path, files(key="1"))
    before = written(tmp_path)
    assert not write_payload(tmp_path, files(key="1"))
    assert written(tmp_path) == before


@pytest.mark.parametrize(
    "changed",
    [
        files(key="2", other="o"),
        files(key="1"),
        files(key="1", other="o", more="m"),
        files(key="1", sub__other="o"),
        {},
    ],
)
def test_any_change_replaces_all(tmp_path: Path, changed: Payload) -> None:
    """What is gone is gone, and the old files with it."""
    write_payload(tmp_path, files(key="1", other="o"))
    before = written(tmp_path)
    assert write_payload(tmp_path, changed)
    assert seen(tmp_path) == {path: file.data.decode() for path, file in changed.items()}
    assert len(written(tmp_path)) == 1
    assert written(tmp_path) != before


def test_ownership_is_set_before_anybody_sees_the_files(tmp_path: Path) -> None:
    """Else a container would for a moment find files that it cannot read."""
    write_payload(tmp_path, files(key="old"))
    looks = []
    write_payload(
        tmp_path,
        files(key="new"),
        set_ownership=lambda: looks.append((seen(tmp_path), len(written(tmp_path)))),
    )
    assert looks == [({"key": "old"}, 2)]


def test_a_failure_leaves_what_was_seen(tmp_path: Path) -> None:
    """And the next write removes what it left."""

    def fail() -> None:
        raise OSError("no")

    write_payload(tmp_path, files(key="old"))
    with pytest.raises(OSError, match="no"):
        write_payload(tmp_path, files(key="new"), set_ownership=fail)
    assert seen(tmp_path) == {"key": "old"}
    write_payload(tmp_path, files(key="newer"))
    assert seen(tmp_path) == {"key": "newer"}
    assert len(written(tmp_path)) == 1


def test_what_a_crash_left_is_removed(tmp_path: Path) -> None:
    """A half made folder, a link that was not renamed, a name that nobody wants any more."""
    write_payload(tmp_path, files(key="1"))
    half = tmp_path / "..2026_01_01_00_00_00.1234"
    half.mkdir()
    (half / "key").write_text("half")
    (tmp_path / "..data_tmp").symlink_to(half.name)
    (tmp_path / "gone").symlink_to("..data/gone")
    assert not write_payload(tmp_path, files(key="1"))
    assert sorted(os.listdir(tmp_path)) == sorted(["..data", "key", *written(tmp_path)])
    (tmp_path / "..data_tmp").symlink_to("nowhere")
    assert write_payload(tmp_path, files(key="2"))
    assert seen(tmp_path) == {"key": "2"}


@pytest.mark.parametrize("damage", ["truncated", "removed", "link"])
def test_files_that_a_power_cut_spoiled_are_written_again(tmp_path: Path, damage: str) -> None:
    """The names may have come to the disk before the bytes."""
    write_payload(tmp_path, files(key="1", other="o"))
    (name,) = written(tmp_path)
    if damage == "truncated":
        (tmp_path / name / "key").write_text("")
    elif damage == "removed":
        shutil.rmtree(tmp_path / name)
    else:
        (tmp_path / "key").unlink()
    write_payload(tmp_path, files(key="1", other="o"))
    assert seen(tmp_path) == {"key": "1", "other": "o"}


def test_a_folder_for_another_volume_stays(tmp_path: Path) -> None:
    """It is where that one is mounted."""
    (tmp_path / "nested").mkdir()
    write_payload(tmp_path, files(nested="hidden", key="1"))
    assert (tmp_path / "nested").is_dir()
    write_payload(tmp_path, files(key="1"))
    assert (tmp_path / "nested").is_dir()


def test_five_thousand_keys_and_a_large_one(tmp_path: Path) -> None:
    """As many as fit into an object, and as large as one may be."""
    payload = files(**{f"key-{number}": str(number) for number in range(5000)})
    payload["large"] = ProjectedFile(data=os.urandom(1 << 20), mode=0o644)
    write_payload(tmp_path, payload)
    assert len(os.listdir(tmp_path)) == 5001 + 2
    assert (tmp_path / "large").read_bytes() == payload["large"].data
    assert not write_payload(tmp_path, payload)
    write_payload(tmp_path, files(one="1"))
    assert sorted(seen(tmp_path)) == ["one"]


def test_a_reader_never_sees_a_mixture(tmp_path: Path) -> None:
    """Whoever opens the folder behind `..data` finds all files of one time."""
    write_payload(tmp_path, files(a="0", b="0"))
    done = threading.Event()
    mixed: list[tuple[str, str]] = []
    looks = [0]

    def read() -> None:
        while not done.is_set():
            fd = os.open(tmp_path / "..data", os.O_RDONLY | os.O_DIRECTORY)
            try:
                pair = tuple(Path(f"/proc/self/fd/{fd}/{name}").read_text() for name in "ab")
            except FileNotFoundError:
                # It was replaced and removed since it was opened.
                continue
            finally:
                os.close(fd)
            looks[0] += 1
            if pair[0] != pair[1]:
                mixed.append((pair[0], pair[1]))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        number = 0
        while number < 300 or not looks[0]:
            number += 1
            write_payload(tmp_path, files(a=str(number), b=str(number)))
    finally:
        done.set()
        reader.join()
    assert looks[0]
    assert not mixed


_names = st.sampled_from(["a", "b", "a/x", "a/y/z", "c/d", ".e", "f.."])
_payloads = st.dictionaries(
    _names, st.binary(max_size=3).map(lambda data: ProjectedFile(data=data, mode=0o644))
)


class Crash(BaseException):
    """The power is gone."""


@given(st.lists(st.tuples(_payloads, st.integers(0, 12)), max_size=6))
def test_whenever_it_ends_the_next_write_is_right(
    steps: list[tuple[Payload, int]],
) -> None:
    """Each write is cut off at some call to the machine, or goes through."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before: dict[str, bytes] = {}
        for payload, calls in steps:
            try:
                wanted = check_payload(payload)
            except VolumeError:
                continue
            with cut_off_after(calls) as cut:
                write_payload(folder, wanted)
            new = {path: file.data for path, file in wanted.items()}
            now = data_of(folder)
            assert now in (before, new)
            assert cut.is_cut or now == new
            before = now
        write_payload(folder, files(last="1"))
        assert seen(folder) == {"last": "1"}
        assert len(os.listdir(folder)) == 3


class Cut:
    """Whether the power went."""

    is_cut = False


@contextlib.contextmanager
def cut_off_after(calls: int) -> Iterator[Cut]:
    """End the block at the n-th call by which the writer changes the folder."""
    cut, left = Cut(), [calls]

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def count(*args: object, **kwargs: object) -> object:
            left[0] -= 1
            if left[0] < 0:
                cut.is_cut = True
                raise Crash
            return call(*args, **kwargs)

        return count

    with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Crash):
        for name in ("mkdir", "symlink_to", "rename", "unlink", "chmod"):
            patch.setattr(Path, name, counted(getattr(Path, name)))
        for name in ("_write_file", "remove_tree"):
            patch.setattr(atomic_writer, name, counted(getattr(atomic_writer, name)))
        yield cut


def data_of(folder: Path) -> dict[str, bytes]:
    """Return the files behind `..data`."""
    data = folder / "..data"
    if not data.exists():
        return {}
    return {
        str(each.relative_to(data)): each.read_bytes() for each in data.rglob("*") if each.is_file()
    }
