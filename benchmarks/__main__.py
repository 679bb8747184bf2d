"""Measure, and print each figure beside its baseline.

python -m benchmarks            all; brings the devcluster up
python -m benchmarks tunnel     the tunnel alone: needs neither root nor a cluster
"""

from __future__ import annotations

import sys

import uvloop

from benchmarks import (
    exec_calls,
    join_ready,
    kubelet_port,
    long_link,
    memory,
    pod_start,
    stuck_reader,
    tunnel_throughput,
)
from benchmarks.figure import Figure, table
from benchmarks.setting import Setting
from devcluster.errors import DevclusterError
from devcluster.progress import Progress
from devcluster.startup import UpOptions, up


def main() -> int:
    """Run the measurements; the devcluster stays up afterwards."""
    progress = Progress()
    tunnel = _tunnel(progress)
    if sys.argv[1:] != ["tunnel"]:
        return _cluster(progress, tunnel)
    print(table(tunnel))
    return 0


def _tunnel(progress: Progress) -> list[Figure]:
    figures: list[Figure] = []
    with progress.step("tunnel on loopback"):
        figures += uvloop.run(tunnel_throughput.measure())
    with progress.step("tunnel on a long link"):
        figures += uvloop.run(long_link.measure())
    with progress.step("tunnel with a reader that stops"):
        figures += uvloop.run(stuck_reader.measure())
    return figures


def _cluster(progress: Progress, tunnel: list[Figure]) -> int:
    try:
        setting = Setting.of(up(UpOptions(), progress))
    except DevclusterError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_status
    setting.create_namespace()
    try:
        with progress.step("joining"):
            joining = join_ready.measure(setting)
        shell = setting.start_shell_pod("shell")
        with progress.step("exec"):
            figures = [
                exec_calls.measure_latency(setting),
                exec_calls.measure_throughput(setting, shell),
            ]
        with progress.step("kubelet port"):
            figures += uvloop.run(kubelet_port.measure(setting))
        with progress.step("pods"):
            created_s = pod_start.create_pods(setting)
        with progress.step("memory"):
            figures += memory.measure(setting)
        with progress.step("bare CRI calls"):
            figures.insert(0, pod_start.compare(setting, created_s))
    finally:
        setting.delete_namespace()
    print(table([*tunnel, *figures, joining]))
    return 0


sys.exit(main())
