"""Defaults of a site's trust: what docs/operations.md says of them."""

from __future__ import annotations

from provider.trust.settings import TrustSettings

DAY_S = 86400.0


def test_an_edge_may_be_away_for_months() -> None:
    """A certificate of 30 days can be recovered for 90 more, so that a season offline is none."""
    settings = TrustSettings(namespace="edgelet-site-a")
    assert settings.certificate_lifetime_s == 30 * DAY_S
    assert settings.recovery_grace_s == 90 * DAY_S
    assert settings.serving_lifetime_s == 90 * DAY_S
    assert settings.serving_names == ()
