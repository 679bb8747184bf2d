"""Control groups."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from devcluster import cgroups

if TYPE_CHECKING:
    import pytest

TABLE = """25 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 25 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
41 25 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
42 25 0:32 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
43 25 0:33 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw
"""


def test_all_hierarchies_of_both_versions_are_found() -> None:
    """The tmpfs that holds them is none."""
    assert cgroups.hierarchies(mountinfo=TABLE) == [
        Path("/sys/fs/cgroup/cpu,cpuacct"),
        Path("/sys/fs/cgroup/memory"),
        Path("/sys/fs/cgroup/unified"),
    ]


def test_cgroups_of_a_process_leave_the_root_out(tmp_path: Path) -> None:
    """A path may hold colons; a process that has ended has none."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7" / "cgroup").write_text("9:name=systemd:/\n8:pids:/k8s.io/a:b\n0::/k8s.io/a:b\n")
    assert cgroups.cgroups_of(7, proc=tmp_path) == {"/k8s.io/a:b"}
    assert cgroups.cgroups_of(8, proc=tmp_path) == set()


def test_groups_are_removed_with_all_below_and_busy_ones_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that cannot be removed is returned, not hidden; the hierarchy's root stays."""
    one, two = tmp_path / "one", tmp_path / "two"
    (one / "site/kubepods/pod").mkdir(parents=True)
    (two / "site").mkdir(parents=True)
    (two / "busy").mkdir()
    (two / "busy" / "cgroup.procs").write_text("12\n13\n")
    monkeypatch.setattr(cgroups, "hierarchies", lambda: [one, two])
    assert cgroups.processes_below("/busy") == {12, 13}
    assert cgroups.remove(["/site", "/busy", "/gone", "/"]) == [two / "busy"]
    assert list(one.iterdir()) == []
    assert list(two.iterdir()) == [two / "busy"]


def test_driver_is_runcs_own_unless_another_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the environment."""
    monkeypatch.delenv("DEVCLUSTER_CGROUP_DRIVER", raising=False)
    assert cgroups.driver() == "cgroupfs"
    monkeypatch.setenv("DEVCLUSTER_CGROUP_DRIVER", "systemd")
    assert cgroups.driver() == "systemd"
