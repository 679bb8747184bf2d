"""Tests of provider/telemetry/site_figures.py."""

from __future__ import annotations

import datetime
from typing import Any

from prometheus_client import CollectorRegistry

from provider.telemetry.site_figures import SiteFigures, SiteSources

MOMENT = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)


def _value(name: str, labels: dict[str, str] | None = None, **changes: object) -> float | None:
    sources: dict[str, Any] = {
        "is_writer": lambda: True,
        "lease_renewed_at": lambda: MOMENT,
        "certificate_ends": lambda: (("Edge port", MOMENT), ("Edge", None)),
        "statuses_pending": lambda: 2,
        "events_pending": lambda: 3,
        "messages_pending": lambda: 4,
    }
    registry = CollectorRegistry()
    registry.register(SiteFigures(SiteSources(**{**sources, **changes})))
    return registry.get_sample_value(name, labels or {})


def test_what_waits_is_told() -> None:
    """Statuses, events and messages each have a figure."""
    assert _value("edgelet_statuses_pending") == 2
    assert _value("edgelet_events_pending") == 3
    assert _value("edgelet_sync_messages_pending") == 4


def test_a_provider_that_waits_for_the_lease_says_so() -> None:
    """Of several providers one is the writer."""
    assert _value("edgelet_writer") == 1
    assert _value("edgelet_writer", is_writer=lambda: False) == 0


def test_a_certificate_has_its_end_in_unix_time() -> None:
    """Its name is a label's value; one that there is not has no figure, and no 0."""
    name = "edgelet_certificate_expiration_timestamp_seconds"
    assert _value(name, {"certificate": "edge_port"}) == MOMENT.timestamp()
    assert _value(name, {"certificate": "edge"}) is None


def test_a_lease_that_was_never_renewed_has_no_time() -> None:
    """An alert on its age must not see 1970."""
    name = "edgelet_node_lease_renewed_timestamp_seconds"
    assert _value(name) == MOMENT.timestamp()
    assert _value(name, lease_renewed_at=lambda: None) is None
