"""Logs of an edge that is told to keep them small: put aside, compressed, dropped; none torn."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.cluster import edge_configured
from tests.e2e.pods import container, pod
from tests.e2e.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.cluster import Cluster
    from tests.e2e.kubectl import Kubectl

POD = "chatterbox"
MAX_FILES = 3
MAX_BYTES = 64 << 10
# With the runtime's time stamps some 100 KiB each second: too large each time they are looked at.
SCRIPT = (
    "trap 'exit 0' TERM; n=0; "
    "while :; do seq $((n + 1)) $((n + 2000)); n=$((n + 2000)); sleep 1 & wait $!; done"
)


@pytest.fixture(scope="module")
def small_logs(cluster: Cluster) -> Iterator[None]:
    """The edge with a small limit, looking as often as it may."""
    limits = {
        "containerLogMaxSize": "64Ki",
        "containerLogMaxFiles": MAX_FILES,
        "containerLogMonitorInterval": "3s",
    }
    with edge_configured(cluster, limits):
        yield


def _files(folder: Path) -> list[Path]:
    """Return what was put aside, oldest first, without what is being written now."""
    return sorted(each for each in folder.glob("0.log.*") if each.suffix != ".tmp")


def _numbers(path: Path) -> list[int]:
    """Return what the container printed into a file, without the runtime's first three words."""
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode()
    return [int(line.split(" ", 3)[3]) for line in text.splitlines()]


@pytest.mark.usefixtures("small_logs")
def test_large_logs_are_put_aside(cluster: Cluster, kubectl: Kubectl) -> None:
    """At most so many files stay, the older ones compressed; a follower misses nothing."""
    kubectl.apply(pod(POD, container(script=SCRIPT), site=cluster.site))
    kubectl.wait("condition=Ready", f"pod/{POD}")
    uid = kubectl.json("get", "pod", POD)["metadata"]["uid"]
    logs = Path(cluster.environment["DEVCLUSTER_SITE_ROOT"], "log/pods")
    folder = logs / f"{kubectl.namespace}_{POD}_{uid}" / "main"
    with kubectl.running("logs", "-f", POD) as follower:
        # As many as may stay, and as many again in their place.
        seen: set[str] = set()
        for _ in range(2 * (MAX_FILES - 1)):
            seen.add(eventually(lambda: _new(folder, seen), what="a rotation", timeout_s=20))
            assert len(_files(folder)) <= MAX_FILES - 1
        # As at a kubelet, only what is in the newest file can be asked for.
        last = int(eventually(lambda: _last_line(kubectl), what="a line", timeout_s=5))
        followed = [int(follower.line().text) for _ in range(last)]
    assert followed == list(range(1, last + 1))
    found = eventually(lambda: _whole(folder), what="no rotation goes on", timeout_s=5)
    assert found is not None
    older, newest = found
    assert min(older) > 1, "nothing was dropped"
    assert (older + newest) == list(range(older[0], newest[-1] + 1))
    kubectl.ok("delete", "pod", POD, "--now")
    assert not folder.exists()


def _last_line(kubectl: Kubectl) -> str:
    return kubectl.ok("logs", POD, "--tail=1").strip()


def _new(folder: Path, seen: set[str]) -> str:
    """Return what was put aside since, "" for nothing."""
    names = {each.name.removesuffix(".gz") for each in _files(folder)}
    return next(iter(sorted(names - seen)), "")


def _whole(folder: Path) -> tuple[list[int], list[int]] | None:
    """Return what is in the compressed file and in the newest, None while they change."""
    files = _files(folder)
    if [each.suffix == ".gz" for each in files] != [True, False]:
        return None
    older, newest = files
    assert newest.stat().st_size >= MAX_BYTES > 0 < older.stat().st_size < MAX_BYTES
    try:
        return _numbers(older), _numbers(newest)
    except FileNotFoundError:
        return None
