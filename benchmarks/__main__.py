"""Bring the devcluster up, measure, and print each figure beside its baseline."""

from __future__ import annotations

import sys

from benchmarks import exec_calls, memory, pod_start
from benchmarks.figure import table
from benchmarks.setting import Setting
from devcluster.errors import DevclusterError
from devcluster.progress import Progress
from devcluster.startup import UpOptions, up


def main() -> int:
    """Run all measurements; the devcluster stays up afterwards."""
    progress = Progress()
    try:
        setting = Setting.of(up(UpOptions(), progress))
    except DevclusterError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_status
    setting.create_namespace()
    try:
        shell = setting.start_shell_pod("shell")
        with progress.step("exec"):
            figures = [
                exec_calls.measure_latency(setting),
                exec_calls.measure_throughput(setting, shell),
            ]
        with progress.step("pods"):
            created_s = pod_start.create_pods(setting)
        with progress.step("memory"):
            figures += memory.measure(setting)
        with progress.step("bare CRI calls"):
            figures.insert(0, pod_start.compare(setting, created_s))
    finally:
        setting.delete_namespace()
    print(table(figures))
    return 0


sys.exit(main())
