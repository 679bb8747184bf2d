"""What the sync stream costs is told by direction and type."""

from __future__ import annotations

from provider.telemetry.sync_traffic import SyncTraffic
from tunnel.sync import Ack, PodForget


def test_bytes_and_messages_add_up_by_direction_and_type() -> None:
    """Each message once, with the size of its JSON."""
    traffic = SyncTraffic()
    for size in (10, 20):
        traffic.sent(PodForget(uid="u"), size_bytes=size)
    traffic.received(Ack(key="u", revision="r"), size_bytes=5)
    samples = {
        (sample.name, sample.labels["direction"], sample.labels["type"]): sample.value
        for family in traffic.collect()
        for sample in family.samples
    }
    assert samples == {
        ("edgelet_sync_bytes_total", "sent", "PodForget"): 30,
        ("edgelet_sync_bytes_total", "received", "Ack"): 5,
        ("edgelet_sync_messages_total", "sent", "PodForget"): 2,
        ("edgelet_sync_messages_total", "received", "Ack"): 1,
    }
