"""How full claims are, under a kubelet's names."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from edge_runtime.objects.node_stats import FilesystemStats, VolumeStats
from edge_runtime.stats.volume_metrics import VOLUME_FAMILY_NAMES, volume_metrics
from tests.edge_runtime.stats.figures import NOW_NS

_SPACE = FilesystemStats(
    timestamp_ns=NOW_NS,
    capacity_bytes=100,
    available_bytes=30,
    used_bytes=60,
    inodes=10,
    inodes_free=4,
    inodes_used=6,
)


def _samples(page: bytes) -> list[tuple[str, dict[str, str], float]]:
    families = text_string_to_metric_families(page.decode())
    return [(each.name, each.labels, each.value) for one in families for each in one.samples]


def test_a_claim_is_told_once_however_many_pods_have_it() -> None:
    """Two pods may share one; a volume that is no claim is not told."""
    data = VolumeStats(name="data", filesystem=_SPACE, claim=("n", "claim"))
    same = VolumeStats(name="other-name", filesystem=_SPACE, claim=("n", "claim"))
    labels = {"namespace": "n", "persistentvolumeclaim": "claim"}
    found = _samples(volume_metrics([data, VolumeStats(name="nfs", filesystem=_SPACE), same]))
    assert found == [
        (name, labels, value)
        for name, value in zip(VOLUME_FAMILY_NAMES, (100, 30, 60, 10, 4, 6), strict=True)
    ]


def test_what_a_filesystem_does_not_tell_is_left_out() -> None:
    """Rather than a zero: an alert would take it for a full volume."""
    space = FilesystemStats(timestamp_ns=NOW_NS, capacity_bytes=100)
    found = _samples(volume_metrics([VolumeStats(name="v", filesystem=space, claim=("n", "c"))]))
    assert [name for name, _, _ in found] == ["kubelet_volume_stats_capacity_bytes"]
    assert volume_metrics([]) == b""
