"""``kubelet_volume_stats_*``: how full claims are, for the alerts that ask for them; pure.

Source: kubernetes pkg/kubelet/metrics/collectors/volume_stats.go; kubernetes-mixin
``KubePersistentVolumeFillingUp``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.stats.metric_family import Family, render_families, render_labels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.objects.node_stats import FilesystemStats, VolumeStats

_FAMILIES = (
    ("kubelet_volume_stats_capacity_bytes", "Capacity in bytes of the volume"),
    ("kubelet_volume_stats_available_bytes", "Number of available bytes in the volume"),
    ("kubelet_volume_stats_used_bytes", "Number of used bytes in the volume"),
    ("kubelet_volume_stats_inodes", "Maximum number of inodes in the volume"),
    ("kubelet_volume_stats_inodes_free", "Number of free inodes in the volume"),
    ("kubelet_volume_stats_inodes_used", "Number of used inodes in the volume"),
)
VOLUME_FAMILY_NAMES = tuple(name for name, _ in _FAMILIES)


def volume_metrics(volumes: Iterable[VolumeStats]) -> bytes:
    """Return the lines of those volumes that are claims, each once however many pods have it."""
    families = [Family(name, "gauge", f"[ALPHA] {text}") for name, text in _FAMILIES]
    told: set[tuple[str, str]] = set()
    for each in volumes:
        if each.claim is None or each.claim in told:
            continue
        told.add(each.claim)
        namespace, name = each.claim
        labels = render_labels({"namespace": namespace, "persistentvolumeclaim": name})
        for family, value in zip(families, _values(each.filesystem), strict=True):
            if value is not None:
                family.add(labels, value)
    return render_families(families)


def _values(stats: FilesystemStats) -> tuple[int | None, ...]:
    return (
        stats.capacity_bytes,
        stats.available_bytes,
        stats.used_bytes,
        stats.inodes,
        stats.inodes_free,
        stats.inodes_used,
    )
