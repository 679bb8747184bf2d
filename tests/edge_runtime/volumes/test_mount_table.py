"""edge_runtime/volumes/mount_table.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.volumes.mount_table import (
    MountPoint,
    ends_below,
    mount_at,
    mounts_below,
    parse_mountinfo,
    reached_below,
)

TABLE = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:50 / /pods/a/volumes/v rw,nosuid shared:7 master:2 - tmpfs tmpfs rw,size=4k
41 40 0:50 /sub /pods/a/volume-subpaths/v rw - tmpfs tmpfs rw
43 41 0:52 / /pods/a/volume-subpaths/v ro - tmpfs tmpfs rw
42 22 0:51 / /pods/a/volumes-of-others rw - nfs4 server:/ex\\040port\\134 ro
44 40 0:53 / /pods/a/volumes/v/in\\011side rw - tmpfs tmpfs rw
"""


def mount(path: str, *, mount_id: int, parent_id: int) -> MountPoint:
    """Return a mount of which only the place matters."""
    return MountPoint(
        mount_id=mount_id,
        parent_id=parent_id,
        device="0:1",
        root="/",
        path=path,
        options=("rw",),
        tags=(),
        fs_type="tmpfs",
        source="tmpfs",
        super_options=("rw",),
    )


def test_a_line_is_read_in_full() -> None:
    """Optional fields may be many or none, and odd characters are written in octal."""
    mounts = parse_mountinfo(TABLE)
    assert mounts[1] == MountPoint(
        mount_id=40,
        parent_id=22,
        device="0:50",
        root="/",
        path="/pods/a/volumes/v",
        options=("rw", "nosuid"),
        tags=("shared:7", "master:2"),
        fs_type="tmpfs",
        source="tmpfs",
        super_options=("rw", "size=4k"),
    )
    assert mounts[2].root == "/sub"
    assert mounts[2].tags == ()
    assert mounts[4].source == "server:/ex port\\"
    assert mounts[5].path == "/pods/a/volumes/v/in\tside"


def test_read_only_is_the_mounts_or_the_file_systems() -> None:
    """Either of both keeps writers out."""
    mounts = parse_mountinfo(TABLE)
    assert [each.is_read_only for each in mounts] == [False, False, False, True, True, False]


def test_this_machines_own_table_is_read() -> None:
    """Whatever is mounted here, the root is."""
    text = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    assert mount_at(parse_mountinfo(text), "/") is not None


@pytest.mark.parametrize(
    "line", ["", "22 1 8:1 / / rw", "22 1 8:1 / / rw - ext4", "x 1 8:1 / / rw - ext4 a rw", "-"]
)
def test_another_form_is_refused(line: str) -> None:
    """A guess about mounts would remove what is not ours."""
    if not line:
        assert parse_mountinfo(line) == ()
        return
    with pytest.raises(ValueError, match="not a line of mountinfo"):
        parse_mountinfo(line)


def test_the_last_mounted_comes_first() -> None:
    """Children before parents, and of a stack the uppermost first."""
    below = mounts_below(parse_mountinfo(TABLE), "/pods/a/volume-subpaths")
    assert [each.mount_id for each in below] == [43, 41]
    below = mounts_below(parse_mountinfo(TABLE), "/pods/a/volumes")
    assert [each.mount_id for each in below] == [44, 40]


def test_a_neighbour_with_a_longer_name_is_not_below() -> None:
    """`volumes-of-others` is not in `volumes`."""
    paths = {each.path for each in mounts_below(parse_mountinfo(TABLE), "/pods/a/volumes")}
    assert "/pods/a/volumes-of-others" not in paths


def test_the_uppermost_of_a_stack_is_seen() -> None:
    """What lies below it is hidden."""
    mounts = parse_mountinfo(TABLE)
    found = mount_at(mounts, "/pods/a/volume-subpaths/v")
    assert found is not None
    assert found.mount_id == 43
    assert mount_at(mounts, "/pods/a/volumes") is None


def test_what_is_hidden_is_not_reached() -> None:
    """Neither what lies below another at the same path, nor what is in a folder of that."""
    mounts = (
        mount("/a", mount_id=2, parent_id=1),
        mount("/a/b", mount_id=3, parent_id=2),
        mount("/a/b/c", mount_id=4, parent_id=3),
        mount("/a/b", mount_id=5, parent_id=3),
        mount("/a/b/d", mount_id=6, parent_id=5),
        mount("/a/bb", mount_id=7, parent_id=2),
    )
    assert [each.mount_id for each in reached_below(mounts, "/a")] == [2, 7, 5, 6]
    assert [each.mount_id for each in ends_below(mounts, "/a")] == [6, 7]
    # Once that is gone, the next.
    assert [each.mount_id for each in ends_below((*mounts[:4], mounts[5]), "/a")] == [5, 7]
    assert [each.mount_id for each in ends_below((*mounts[:3], mounts[5]), "/a")] == [4, 7]


@given(
    st.lists(
        st.tuples(st.integers(0, 8), st.integers(0, 8), st.sampled_from(["/a", "/a/b", "/b"])),
        max_size=9,
        unique_by=lambda each: each[0],
    )
)
def test_any_table_has_an_order(rows: list[tuple[int, int, str]]) -> None:
    """Also one with a ring, as it may be read while mounts come and go."""
    mounts = tuple(mount(path, mount_id=own, parent_id=parent) for own, parent, path in rows)
    below = mounts_below(mounts, "/a")
    assert {each.mount_id for each in below} == {own for own, _, path in rows if path[:2] == "/a"}
    if all(parent < own for own, parent, _ in rows):
        order = [each.mount_id for each in below]
        for each in below:
            if each.parent_id in order:
                assert order.index(each.mount_id) < order.index(each.parent_id)


@given(st.lists(st.sampled_from(["/a", "/a/b", "/a/b/c", "/b"])))
def test_all_of_a_table_can_be_unmounted(paths: list[str]) -> None:
    """Step by step, whatever hides what: there is always something to begin with."""
    mounts = [mount("/", mount_id=1, parent_id=0)]
    for number, path in enumerate(paths, 2):
        # As the kernel does: on the uppermost at this path, or at one on the way to it.
        ways = [path, *(str(each) for each in Path(path).parents)]
        found = next(each for way in ways if (each := mount_at(tuple(mounts), way)) is not None)
        mounts.append(mount(path, mount_id=number, parent_id=found.mount_id))
    while mounts_below(tuple(mounts), "/a"):
        ends = ends_below(tuple(mounts), "/a")
        assert ends
        for each in ends:
            assert mount_at(tuple(mounts), each.path) == each
            mounts.remove(each)
    assert all(each.path in ("/", "/b") for each in mounts)
