"""Which verdict counts for which attempt of a container."""

from __future__ import annotations

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.probe_results import ContainerProbes, ProbeView

OLD, NEW = ContainerID("old"), ContainerID("new")


def test_a_verdict_counts_for_its_own_attempt() -> None:
    """A restarted container is neither live nor dead before its own probes ran."""
    view = ProbeView(containers={"c": ContainerProbes(container_id=OLD, live=False, failure="no")})
    assert view.of("c", OLD).live is False
    assert view.of("c", NEW) == ContainerProbes(container_id=NEW)
    assert view.of("other", OLD).ready is None
