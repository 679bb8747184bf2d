"""Who goes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.eviction.ranking import rank_pods
from edge_runtime.objects.eviction_thresholds import Signal
from edge_runtime.objects.pod import PodUID
from tests.fakes.evictable_pods import pod, use

if TYPE_CHECKING:
    from edge_runtime.eviction.observations import PodUse
    from edge_runtime.objects.pod import Pod


def order(
    pods: list[Pod], uses: dict[str, PodUse], signal: Signal, *, dedicated: bool = False
) -> list[str]:
    """Names in the order of their end."""
    by_uid = {PodUID(uid): each for uid, each in uses.items()}
    return [each.name for each in rank_pods(pods, by_uid, signal, dedicated_imagefs=dedicated)]


def test_memory_ranking() -> None:
    """Above its request first, then by priority, then by how much above."""
    pods = [
        pod("modest", requests={"memory": "1Gi"}),
        pod("greedy", requests={"memory": "100"}),
        pod("greedier", requests={"memory": "50"}),
        pod("important", priority=5),
        pod("unknown"),
    ]
    uses = {
        "modest": use(memory=900),
        "greedy": use(memory=200),
        "greedier": use(memory=200),
        "important": use(memory=10_000),
    }
    expected = ["unknown", "greedier", "greedy", "important", "modest"]
    assert order(pods, uses, Signal.MEMORY_AVAILABLE) == expected


def test_disk_ranking_counts_what_lies_on_that_disk() -> None:
    """Logs and volumes on one, what containers write on the other, where there are two."""
    pods = [pod("logs"), pod("layer"), pod("volume", requests={"ephemeral-storage": "1Gi"})]
    uses = {"logs": use(logs=20), "layer": use(layer=30), "volume": use(volume=40)}
    assert order(pods, uses, Signal.NODEFS_AVAILABLE) == ["layer", "logs", "volume"]
    assert order(pods, uses, Signal.NODEFS_AVAILABLE, dedicated=True)[0] == "logs"
    assert order(pods, uses, Signal.IMAGEFS_AVAILABLE, dedicated=True)[0] == "layer"
    # Nobody can ask for inodes, so the one with most of them goes first.
    assert order(pods, uses, Signal.NODEFS_INODES_FREE) == ["volume", "layer", "logs"]


def test_process_ranking() -> None:
    """By priority, then by number."""
    pods = [pod("few"), pod("many"), pod("important", priority=1)]
    uses = {"few": use(processes=1), "many": use(processes=9), "important": use(processes=99)}
    assert order(pods, uses, Signal.PID_AVAILABLE) == ["many", "few", "important"]
