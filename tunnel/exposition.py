"""A registry's figures as text, in the form that Prometheus collects.

Source: prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prometheus_client import Gauge, ProcessCollector
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client import CollectorRegistry, Metric

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
# When a series began: of no use to any server that reads this form, and a line for each one.
_CREATED = "_created"


class _Snapshot(Collector):
    """Figures as they were at one moment."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        return self._families


async def expose(registry: CollectorRegistry) -> bytes:
    """Return all figures of a registry as text.

    They are read here, between two steps of the event loop, so that none changes meanwhile; only
    the text is written in a thread, since it takes longer. Cancelling is safe.
    """
    snapshot = _Snapshot(_without_created(family) for family in registry.collect())
    return await asyncio.to_thread(generate_latest, snapshot)


def register_process(registry: CollectorRegistry, *, component: str, version: str) -> None:
    """Count the process itself, too: which one it is, its CPU time, memory and descriptors."""
    ProcessCollector(registry=registry)
    build = Gauge(
        "edgelet_build_info",
        "Always 1; the labels tell what runs.",
        labelnames=["component", "version"],
        registry=registry,
    )
    build.labels(component=component, version=version).set(1)


def labelled_gauge(
    name: str, documentation: str, label: str, values: Mapping[str, float | None]
) -> Metric:
    """Return a gauge with a value for each value of its one label; None is left out."""
    family = GaugeMetricFamily(name, documentation, labels=[label])
    for key, value in values.items():
        if value is not None:
            family.add_metric([key], value)
    return family


def _without_created(family: Metric) -> Metric:
    family.samples = [each for each in family.samples if not each.name.endswith(_CREATED)]
    return family
