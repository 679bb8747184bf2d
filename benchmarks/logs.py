"""`kubectl logs` of 100 MB, and how late a followed line is, beside a real kubelet."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from typing import TYPE_CHECKING

from benchmarks.figure import Figure, median_figure
from benchmarks.setting import IN, KUBECTL_TIMEOUT_S, NAMESPACE
from devcluster.layout import CLOUD_NODE
from edge_runtime.logs.log_time import TimestampParser

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.setting import Json, Setting

MB = 1_000_000
LINE_BYTES = 100
LINES = 1_000_000
SIZE = LINES * LINE_BYTES
RUNS = 5
# Both nodes put away logs of running containers that are larger than 10 MiB when they look, every
# 10 s: the container must have ended by then.
ATTEMPTS = 8
FOLLOWED_LINES = 100
KUBELET = "the real kubelet beside it"
WRITE = (
    f'awk "BEGIN {{ for (i = 1; i <= {LINES}; i++) printf \\"%0{LINE_BYTES - 1}d\\\\n\\", i }}" '
    "> /tmp/lines && cat /tmp/lines"
)
TALK = "trap 'exit 0' TERM; while :; do echo line; usleep 50000; done"


def measure(setting: Setting) -> list[Figure]:
    """Return the figures; the pods are deleted with the namespace."""
    nodes = (setting.site.name, str(CLOUD_NODE))
    written = {node: _write(setting, node) for node in nodes}
    whole_s: dict[str, list[float]] = {node: [] for node in nodes}
    tail_s: dict[str, list[float]] = {node: [] for node in nodes}
    for _ in range(RUNS):
        for node, name in written.items():
            whole_s[node].append(_read_s(setting, name, size=SIZE))
            tail_s[node].append(_read_s(setting, name, "--tail=10", size=10 * LINE_BYTES))
    late_s = {node: _follow(setting, node) for node in reversed(nodes)}
    return [
        _figure(f"kubectl logs of {SIZE // MB} MB, {RUNS} runs, p50", whole_s, nodes),
        _figure(f"kubectl logs --tail=10 of {SIZE // MB} MB, {RUNS} runs, p50", tail_s, nodes),
        _figure(f"delay of a followed line, {FOLLOWED_LINES} lines, p50", late_s, nodes),
    ]


def _figure(name: str, took_s: dict[str, list[float]], nodes: Sequence[str]) -> Figure:
    site, kubelet = nodes
    return median_figure(name, took_s[site], took_s[kubelet], unit="s", baseline_name=KUBELET)


def _read_s(setting: Setting, name: str, *options: str, size: int) -> float:
    started = time.perf_counter()
    received = len(setting.kubectl(*IN, "logs", name, *options))
    took_s = time.perf_counter() - started
    assert received == size, f"{received} of {size} bytes arrived"
    return took_s


def _write(setting: Setting, node: str) -> str:
    """Have a container write the log and end, before its node puts a part of it away.

    Raises:
        AssertionError: The node looked too early each time.
    """
    for attempt in range(ATTEMPTS):
        name = f"wrote-{node}-{attempt}"
        pod = _pod(setting, name, node=node, script=WRITE)
        pod["spec"]["restartPolicy"] = "Never"
        setting.kubectl("apply", "-f", "-", stdin=json.dumps(pod).encode())
        ended = "--for=jsonpath={.status.phase}=Succeeded"
        setting.kubectl(*IN, "wait", ended, f"pod/{name}", "--timeout=120s")
        first = setting.kubectl(*IN, "logs", name, f"--limit-bytes={LINE_BYTES}")
        if first == b"%0*d\n" % (LINE_BYTES - 1, 1) and _is_in_one_file(setting, pod, node):
            return name
        setting.kubectl(*IN, "delete", "pod", name)
    msg = f"{node} put a part of the log away {ATTEMPTS} times"
    raise AssertionError(msg)


def _is_in_one_file(setting: Setting, pod: Json, node: str) -> bool:
    if node != setting.site.name:
        # A kubelet shows the newest file alone: that the first line is there says it.
        return True
    logs = setting.site.root / "log/pods"
    (folder,) = logs.glob(f"{NAMESPACE}_{pod['metadata']['name']}_*/main")
    return [each.name for each in folder.iterdir()] == ["0.log"]


def _follow(setting: Setting, node: str) -> list[float]:
    """Return the seconds from the runtime's time of each line to its arrival."""
    name = f"talks-{node}"
    pod = _pod(setting, name, node=node, script=TALK)
    setting.kubectl("apply", "-f", "-", stdin=json.dumps(pod).encode())
    setting.kubectl(*IN, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    command = ["kubectl", *IN, "logs", "-f", "--timestamps", "--tail=0", name]
    clock = TimestampParser()
    late_s: list[float] = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, env=dict(setting.variables), bufsize=0
    ) as follower:
        assert follower.stdout is not None
        deadline = time.monotonic() + KUBECTL_TIMEOUT_S
        while len(late_s) < FOLLOWED_LINES and time.monotonic() < deadline:
            line = follower.stdout.readline()
            written_ns = clock.parse(line.split(b" ")[0])
            assert written_ns is not None, f"no line of a log: {line!r}"
            late_s.append((time.time_ns() - written_ns) / 1e9)
        follower.kill()
    setting.kubectl(*IN, "delete", "pod", name)
    # A clock of the other side's would show here.
    assert statistics.median(late_s) > 0
    return late_s


def _pod(setting: Setting, name: str, *, node: str, script: str) -> Json:
    pod = setting.pod(name, node=node)
    pod["spec"]["containers"][0]["command"] = ["sh", "-c", script]
    return pod
