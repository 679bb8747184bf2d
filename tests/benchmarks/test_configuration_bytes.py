"""What pods share travels once, and what has not changed does not travel."""

from __future__ import annotations

import os

import pytest

from benchmarks.configuration_bytes import (
    COLD_TARGET_BYTES,
    CONFIG_MAP_BYTES,
    CONFIG_MAPS,
    RECONNECT_TARGET_BYTES,
    measure_costs,
)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: pods with tokens mount")


async def test_configuration_travels_once_however_many_pods_share_it() -> None:
    """And nothing of it when the edge comes back, whichever provider it comes back to."""
    few, many = await measure_costs(pods=3), await measure_costs(pods=12)
    contents = CONFIG_MAPS * CONFIG_MAP_BYTES
    for costs in (few, many):
        assert contents < costs.cold.configuration < 1.5 * contents < COLD_TARGET_BYTES
        assert 0 < costs.reconnect.configuration < RECONNECT_TARGET_BYTES / 5
        assert costs.takeover.configuration == costs.reconnect.configuration
    assert abs(many.cold.configuration - few.cold.configuration) < CONFIG_MAP_BYTES
    assert many.reconnect.configuration == few.reconnect.configuration
    # Each pod has a token of its own, and needs no other when the edge comes back.
    assert many.cold.tokens > 3 * few.cold.tokens > 0
    assert many.reconnect.tokens < many.cold.tokens / 10
