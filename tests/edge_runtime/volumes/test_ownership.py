"""edge_runtime/volumes/ownership.py."""

from __future__ import annotations

import os
import stat
import threading
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.volumes.mount_syscalls import mount_tmpfs
from edge_runtime.volumes.ownership import fs_group, fs_user, set_ownership

if TYPE_CHECKING:
    from pathlib import Path

GROUP = 4321
pytestmark = pytest.mark.usefixtures("kernel")


@pytest.fixture(autouse=True)
def _as_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")


def state(path: Path) -> tuple[int, int]:
    """Return group and mode of a path itself."""
    found = path.lstat()
    return found.st_gid, stat.S_IMODE(found.st_mode)


def make(path: Path, mode: int) -> Path:
    """Make a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    path.chmod(mode)
    return path


def test_a_volume_that_is_written_belongs_to_the_group(tmp_path: Path) -> None:
    """Files made later, too: folders hand their group on."""
    inner = make(tmp_path / "a" / "file", 0o600)
    inner.parent.chmod(0o700)
    tmp_path.chmod(0o777)
    set_ownership(tmp_path, GROUP, read_only=False)
    assert state(inner) == (GROUP, 0o660)
    assert state(inner.parent) == (GROUP, 0o2770)
    assert state(tmp_path) == (GROUP, 0o2777)
    assert make(tmp_path / "a" / "later", 0o600).stat().st_gid == GROUP
    assert inner.stat().st_uid == os.geteuid()


def test_a_volume_that_is_only_read_is_readable_by_the_group(tmp_path: Path) -> None:
    """Others get nothing that they did not have."""
    token = make(tmp_path / "token", 0o600)
    closed = make(tmp_path / "closed", 0)
    set_ownership(tmp_path, GROUP, read_only=True)
    assert state(token) == (GROUP, 0o640)
    assert state(closed) == (GROUP, 0o440)


def test_a_link_changes_nothing_where_it_leads(tmp_path: Path) -> None:
    """It itself is given away, for what that means."""
    outside = make(tmp_path / "outside", 0o600)
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "link").symlink_to(outside)
    (volume / "folder-link").symlink_to(tmp_path)
    set_ownership(volume, GROUP, read_only=False)
    assert state(outside) == (os.getegid(), 0o600)
    assert (volume / "link").lstat().st_gid == GROUP
    assert tmp_path.stat().st_gid == os.getegid()


def test_pipes_are_not_opened(tmp_path: Path) -> None:
    """Nobody may ever write into one."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    set_ownership(tmp_path, GROUP, read_only=False)
    assert state(tmp_path / "pipe") == (GROUP, 0o660)


def test_another_mount_in_the_volume_stays_as_it_is(mountable: Path) -> None:
    """It is not the volume's."""
    (mountable / "volume" / "point").mkdir(parents=True)
    mount_tmpfs(mountable / "volume" / "point", data="mode=700")
    make(mountable / "volume" / "point" / "file", 0o600)
    set_ownership(mountable / "volume", GROUP, read_only=False)
    assert state(mountable / "volume" / "point") == (0, 0o700)
    assert state(mountable / "volume" / "point" / "file") == (0, 0o600)
    assert (mountable / "volume").stat().st_gid == GROUP


@pytest.mark.parametrize(
    ("group", "mode", "is_skipped"),
    [
        (GROUP, 0o2770, True),
        (GROUP, 0o2777, True),
        (GROUP, 0o770, False),
        (GROUP, 0o2750, False),
        (0, 0o2770, False),
    ],
)
def test_a_right_root_is_taken_for_all(
    tmp_path: Path, group: int, mode: int, is_skipped: bool
) -> None:
    """With `OnRootMismatch`: a volume of a million files is not looked through each time."""
    inner = make(tmp_path / "file", 0o600)
    os.chown(tmp_path, -1, group)
    tmp_path.chmod(mode)
    set_ownership(tmp_path, GROUP, read_only=False, policy="OnRootMismatch")
    assert (inner.stat().st_gid != GROUP) is is_skipped
    set_ownership(tmp_path, GROUP, read_only=False)
    assert inner.stat().st_gid == GROUP


def test_the_root_is_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was cut off half way is not taken for done."""
    for number in range(5):
        make(tmp_path / str(number) / "file", 0o600)
    whole, calls = os.chmod, [0]

    def cut(path: str, mode: int) -> None:
        calls[0] += 1
        if calls[0] > 4:
            raise OSError("cut")
        whole(path, mode)

    monkeypatch.setattr(os, "chmod", cut)
    with pytest.raises(OSError, match="cut"):
        set_ownership(tmp_path, GROUP, read_only=False, policy="OnRootMismatch")
    monkeypatch.undo()
    assert tmp_path.stat().st_gid != GROUP
    set_ownership(tmp_path, GROUP, read_only=False, policy="OnRootMismatch")
    assert all(each.stat().st_gid == GROUP for each in tmp_path.rglob("*"))


def test_a_race_is_never_won(tmp_path: Path) -> None:
    """A container that swaps a folder for a link gives away nothing of the machine."""
    outside = tmp_path / "outside"
    precious = make(outside / "d" / "precious", 0o600)
    volume = tmp_path / "volume"
    make(volume / "x" / "d" / "file", 0o600)
    done = threading.Event()

    def swap() -> None:
        while not done.is_set():
            (volume / "x").rename(volume / "y")
            (volume / "x").symlink_to(outside)
            (volume / "x").unlink()
            (volume / "y").rename(volume / "x")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(1000):
            set_ownership(volume, GROUP, read_only=False)
    finally:
        done.set()
        thread.join()
    assert {state(each) for each in (outside, outside / "d")} == {(os.getegid(), 0o755)}
    assert state(precious) == (os.getegid(), 0o600)


def pod(pod_security: dict[str, Any], *containers: int | None, init: int | None = 7) -> Pod:
    """Return a pod whose containers run as these users; the init container as `init`."""

    def container(name: str, user: int | None) -> dict[str, Any]:
        return {"name": name, "securityContext": {"runAsUser": user}}

    return Pod(
        {
            "spec": {
                "securityContext": pod_security,
                "initContainers": [container("init", init)],
                "containers": [container(str(n), user) for n, user in enumerate(containers)],
            }
        }
    )


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (pod({}, 7, 7), 7),
        (pod({"runAsUser": 7}, None, 7), 7),
        (pod({"runAsUser": 0}, None, init=None), 0),
        (pod({"runAsUser": 1}, 7), 7),
        (pod({}, 7, None), None),
        (pod({}, 7, 8), None),
        (pod({}, 7, init=8), None),
        (pod({}, None, init=None), None),
    ],
)
def test_the_user_is_the_one_of_all_containers(made: Pod, expected: int | None) -> None:
    """Of several, none may read the others' token: then only root, or the group, may."""
    assert fs_user(made) == expected


def test_the_group_is_the_pods() -> None:
    """Zero is a group as well."""
    assert fs_group(pod({"fsGroup": 0})) == 0
    assert fs_group(pod({})) is None
