"""What figures cost: the edge's processor time with 100 pods and two scrapes every 15 s.

Periods with and without scrapes take turns, so that only what scrapes add is counted.
"""

from __future__ import annotations

import json
import statistics
import time
from typing import TYPE_CHECKING

from benchmarks.figure import Figure
from benchmarks.setting import IN

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psutil

    from benchmarks.setting import Setting

PODS = 100
PATHS = ("metrics/resource", "metrics/cadvisor")
SCRAPE_PERIOD_S = 15.0
SCRAPES = 4
ALLOWED_PERCENT = 2.0


def measure(setting: Setting) -> Figure:
    """Start the pods, and return the share of one processor that scrapes take."""
    names = [f"stats-{number}" for number in range(PODS)]
    pods = {"apiVersion": "v1", "kind": "List", "items": [setting.pod(name) for name in names]}
    setting.kubectl("apply", "-f", "-", stdin=json.dumps(pods).encode())
    try:
        targets = [f"pod/{name}" for name in names]
        setting.kubectl(*IN, "wait", "--for=condition=Ready", *targets, "--timeout=170s")
        shares = [_period(setting) for _ in range(SCRAPES)]
    finally:
        setting.kubectl(*IN, "delete", "pods", "--all", "--timeout=170s")
    idle, scraped = (statistics.mean(each) for each in zip(*shares, strict=True))
    return Figure(
        name=f"scrapes every {SCRAPE_PERIOD_S:g} s, {PODS} pods",
        value=max(scraped - idle, 0.0) * 100,
        baseline=ALLOWED_PERCENT,
        unit="% of a core",
        baseline_name="what they may take at most",
        spread=f"{idle * 100:.2f} % without scrapes, {scraped * 100:.2f} % with them",
    )


def _period(setting: Setting) -> tuple[float, float]:
    """Return the edge's processor seconds per second: of a period without, and of one with."""
    return _share(setting, ()), _share(setting, PATHS)


def _share(setting: Setting, paths: Sequence[str]) -> float:
    edge = setting.process("edge")
    began_s, used_s = time.monotonic(), _used_s(edge)
    for path in paths:
        page = setting.kubectl("get", "--raw", f"/api/v1/nodes/{setting.site.name}/proxy/{path}")
        told = page.count(b'container_cpu_usage_seconds_total{container="main"')
        assert told == PODS, f"{path} tells of {told} pods"
    time.sleep(max(began_s + SCRAPE_PERIOD_S - time.monotonic(), 0))
    return (_used_s(edge) - used_s) / (time.monotonic() - began_s)


def _used_s(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)
