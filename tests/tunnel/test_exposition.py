"""Tests of tunnel/exposition.py."""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.parser import text_string_to_metric_families

from tunnel.exposition import CONTENT_TYPE, expose, register_process


async def _samples(registry: CollectorRegistry) -> dict[str, float]:
    text = (await expose(registry)).decode()
    return {
        each.name: each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
    }


async def test_figures_can_be_read_back() -> None:
    """What was counted is in the text, and nothing about when a series began."""
    registry = CollectorRegistry()
    Counter("edgelet_calls", "Calls.", registry=registry).inc(3)
    Histogram("edgelet_wait_seconds", "Waits.", buckets=(1,), registry=registry).observe(0.5)
    samples = await _samples(registry)
    assert samples["edgelet_calls_total"] == 3
    assert samples["edgelet_wait_seconds_sum"] == 0.5
    assert not [name for name in samples if name.endswith("_created")]


async def test_counting_goes_on_after_a_look() -> None:
    """A look takes nothing away from what is counted."""
    registry = CollectorRegistry()
    counter = Counter("edgelet_calls", "Calls.", registry=registry)
    counter.inc()
    await expose(registry)
    counter.inc()
    assert await _samples(registry) == {"edgelet_calls_total": 2}


async def test_the_process_tells_who_it_is() -> None:
    """Version, memory and descriptors are told."""
    registry = CollectorRegistry()
    register_process(registry, component="edge", version="1.2.3")
    text = (await expose(registry)).decode()
    assert 'edgelet_build_info{component="edge",version="1.2.3"} 1.0' in text
    samples = await _samples(registry)
    assert samples["process_resident_memory_bytes"] > 1_000_000
    assert 0 < samples["process_open_fds"] <= len(os.listdir("/proc/self/fd")) + 10
    assert samples["process_cpu_seconds_total"] > 0


def test_the_form_is_the_one_that_every_server_reads() -> None:
    """The type names the version of the text."""
    assert CONTENT_TYPE.startswith("text/plain; version=0.0.4")
