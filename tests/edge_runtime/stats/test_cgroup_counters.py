"""Texts of the kernel become the figures that a kubelet tells of the same group."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.stats.cgroup_counters import (
    DiskCounters,
    cpu_counters_v1,
    cpu_counters_v2,
    disk_counters_v1,
    disk_counters_v2,
    memory_counters_v1,
    memory_counters_v2,
    parse_limit,
)


def test_both_versions_tell_the_same_of_processors() -> None:
    """Version 2 counts in microseconds, version 1 in nanoseconds."""
    first = cpu_counters_v1(
        usage="5000000\n",
        stat="nr_periods 7\nnr_throttled 2\nthrottled_time 3000\n",
        user="4000000\n",
        system="1000000\n",
    )
    second = cpu_counters_v2(
        "usage_usec 5000\nuser_usec 4000\nsystem_usec 1000\n"
        "nr_periods 7\nnr_throttled 2\nthrottled_usec 3\n"
    )
    assert first == second
    assert first.usage_ns == 5_000_000


def test_the_working_set_leaves_out_files_that_nobody_used_lately() -> None:
    """As cadvisor: of all that is below the group, but faults are the group's own."""
    memory = memory_counters_v1(
        usage="1000\n",
        stat="inactive_file 1\ntotal_inactive_file 300\ntotal_rss 500\n"
        "pgfault 9\ntotal_pgfault 99\n",
        limit="9223372036854771712\n",
    )
    assert (memory.usage_bytes, memory.working_set_bytes, memory.rss_bytes) == (1000, 700, 500)
    assert memory.page_faults == 9
    assert memory.limit_bytes is None


def test_version_2_has_other_names_for_the_same() -> None:
    """Anonymous memory is what version 1 calls resident."""
    memory = memory_counters_v2(
        current="1000\n", stat="anon 500\nfile 400\ninactive_file 300\n", limit="2000\n", swap="5\n"
    )
    assert (memory.working_set_bytes, memory.rss_bytes, memory.swap_bytes) == (700, 500, 5)
    assert memory.limit_bytes == 2000


def test_the_working_set_is_never_negative() -> None:
    """Both files are read one after the other, and the group goes on between them."""
    memory = memory_counters_v2(current="10\n", stat="inactive_file 300\n", limit="max\n")
    assert memory.working_set_bytes == 0


def test_disks_are_the_same_in_both_versions() -> None:
    """Lines of other operations, and the total, are passed over."""
    first = disk_counters_v1(
        transferred="8:0 Read 4096\n8:0 Write 8192\n8:0 Sync 1\nTotal 12288\n",
        operations="8:0 Read 1\n8:0 Write 2\nTotal 3\n",
    )
    second = disk_counters_v2("8:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n")
    expected = DiskCounters(major=8, minor=0, read_bytes=4096, write_bytes=8192, reads=1, writes=2)
    assert first == second == (expected,)


def test_a_limit_that_is_none() -> None:
    """Version 2 says so, version 1 gives the largest number it has."""
    assert parse_limit("max\n") is None
    assert parse_limit("9223372036854771712\n") is None
    assert parse_limit("1048576\n") == 1048576


@given(text=st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    """What a future kernel writes there must not keep us from all else."""
    cpu_counters_v2(text)
    disk_counters_v2(text)
    disk_counters_v1(transferred=text, operations=text)
    memory_counters_v1(usage=text, stat=text, limit=text)
    parse_limit(text)


def test_swap_has_the_limit_that_memory_leaves_of_both() -> None:
    """Version 1 limits both together; a kernel that counts no swap gives none."""
    memory = {"usage": "5", "stat": "", "limit": "100\n"}
    assert memory_counters_v1(**memory, total_limit="130\n").swap_limit_bytes == 30
    assert memory_counters_v1(**memory, total_limit="100\n").swap_limit_bytes == 0
    assert (
        memory_counters_v1(**memory, total_limit=f"{(1 << 63) - 4096}\n").swap_limit_bytes is None
    )
    assert memory_counters_v1(**memory).swap_limit_bytes == 0


def test_the_root_of_version_2_counts_what_it_maps_and_what_holds_files() -> None:
    """It has no memory.current."""
    memory = memory_counters_v2(
        current=None, stat="anon 100\nfile 50\ninactive_file 20\n", limit=""
    )
    assert (memory.usage_bytes, memory.working_set_bytes) == (150, 130)
