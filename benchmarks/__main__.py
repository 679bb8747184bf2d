"""Measure, and print each figure beside its baseline.

python -m benchmarks            all; brings the devcluster up
python -m benchmarks tunnel     the tunnel alone: needs neither root nor a cluster
python -m benchmarks pods       a site beside a real kubelet, alone
python -m benchmarks reboot     a site that boots while the cloud is away, alone
python -m benchmarks logs       logs of a site beside those of a real kubelet, alone
python -m benchmarks stats      what scrapes of 100 pods cost, alone
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import uvloop

from benchmarks import (
    beside_kubelet,
    configuration_bytes,
    exec_calls,
    join_ready,
    kubelet_port,
    logs,
    long_link,
    memory,
    offline_reboot,
    pod_start,
    stats,
    stuck_reader,
    tunnel_throughput,
)
from benchmarks.figure import Figure, table
from benchmarks.setting import Setting
from devcluster.errors import DevclusterError
from devcluster.progress import Progress
from devcluster.startup import UpOptions, up
from tunnel.heap import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Measurement = Callable[[Setting, Progress], list[Figure]]


def main() -> int:
    """Run the measurements; the devcluster stays up afterwards."""
    progress = Progress()
    if sys.argv[1:] == ["tunnel"]:
        print(table(_tunnel(progress)))
        return 0
    alone = {"pods": _beside_kubelet, "reboot": _reboot, "logs": _logs, "stats": _stats}
    if len(sys.argv) == 2 and sys.argv[1] in alone:
        return _cluster(progress, [alone[sys.argv[1]]])
    measurements = [_calls, _logs, _reboot, _beside_kubelet, _stats]
    return _cluster(progress, measurements, before=_tunnel(progress))


def _tunnel(progress: Progress) -> list[Figure]:
    # As a provider does, whose part this process plays.
    keep_freed_memory()
    figures: list[Figure] = []
    with progress.step("tunnel on loopback"):
        figures += uvloop.run(tunnel_throughput.measure())
    with progress.step("tunnel on a long link"):
        figures += uvloop.run(long_link.measure())
    with progress.step("tunnel with a reader that stops"):
        figures += uvloop.run(stuck_reader.measure())
    return figures


def _cluster(
    progress: Progress, measurements: Sequence[Measurement], *, before: Sequence[Figure] = ()
) -> int:
    try:
        setting = Setting.of(up(UpOptions(kubelet=True), progress))
    except DevclusterError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return error.exit_status
    figures = [*before]
    for measurement in measurements:
        setting.create_namespace()
        try:
            figures += measurement(setting, progress)
        finally:
            setting.delete_namespace()
    print(table(figures))
    return 0


def _beside_kubelet(setting: Setting, progress: Progress) -> list[Figure]:
    with progress.step("a site beside a kubelet"):
        return beside_kubelet.measure(setting)


def _logs(setting: Setting, progress: Progress) -> list[Figure]:
    with progress.step("logs"):
        return logs.measure(setting)


def _stats(setting: Setting, progress: Progress) -> list[Figure]:
    with progress.step("scrapes of 100 pods"):
        return [stats.measure(setting)]


def _reboot(setting: Setting, progress: Progress) -> list[Figure]:
    with progress.step("offline reboot"):
        return offline_reboot.measure(setting)


def _calls(setting: Setting, progress: Progress) -> list[Figure]:
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
    with progress.step("configuration"):
        figures += uvloop.run(configuration_bytes.measure())
    with progress.step("pods"):
        created_s = pod_start.create_pods(setting)
    with progress.step("memory"):
        figures += memory.measure(setting)
    with progress.step("bare CRI calls"):
        figures.insert(0, pod_start.compare(setting, created_s))
    return [*figures, joining]


sys.exit(main())
