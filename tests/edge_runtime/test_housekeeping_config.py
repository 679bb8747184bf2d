"""Configuration of images and logs: defaults of a kubelet, and a sentence for what cannot be."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edge_runtime.housekeeping_config import HousekeepingConfig, housekeeping_problem


def read(**document: Any) -> HousekeepingConfig:  # noqa: ANN401  # what YAML may hold
    """Read a configuration as it stands in the file."""
    return msgspec.convert(document, HousekeepingConfig)


def test_defaults_are_the_kubelets() -> None:
    """But for the parallel pulls."""
    config = read()
    assert housekeeping_problem(config) is None
    assert (config.serialize_image_pulls, config.max_parallel_image_pulls) == (False, 3)
    assert config.image_gc_high_threshold_percent == 85
    assert config.image_gc_low_threshold_percent == 80
    assert (config.image_minimum_gc_age_s, config.image_maximum_gc_age_s) == (120.0, 0.0)
    assert config.container_log_max_bytes == 10 << 20
    assert config.container_log_max_files == 5
    assert config.container_log_monitor_interval_s == 10.0


@pytest.mark.parametrize(
    "document",
    [
        {"maxParallelImagePulls": None},
        {"preloadedImagesVerificationAllowlist": ["registry.example/base/*", "busybox"]},
        {"imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 0},
        {"imageMinimumGCAge": "0s"},
        {"imageMaximumGCAge": "0"},
        {"imageMaximumGCAge": "2m1s"},
        {"containerLogMaxSize": "-1"},
        {"containerLogMaxFiles": 2},
        {"containerLogMonitorInterval": "3s"},
    ],
)
def test_what_makes_sense_is_taken(document: dict[str, Any]) -> None:
    """The ends of each range, and "0s" and null for "never" and "no limit"."""
    assert housekeeping_problem(read(**document)) is None


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"maxParallelImagePulls": 0}, "maxParallelImagePulls: must be at least 1"),
        ({"preloadedImagesVerificationAllowlist": ["*"]}, "'*' is no image or prefix/*"),
        ({"preloadedImagesVerificationAllowlist": ["a@sha256:1"]}, "is no image or prefix/*"),
        ({"preloadedImagesVerificationAllowlist": [" a"]}, "is no image or prefix/*"),
        ({"preloadedImagesVerificationAllowlist": ["/*"]}, "is no image or prefix/*"),
        ({"imageGCHighThresholdPercent": 101}, "imageGCHighThresholdPercent: 101 is not from 0"),
        ({"imageGCLowThresholdPercent": -1}, "imageGCLowThresholdPercent: -1 is not from 0"),
        ({"imageGCLowThresholdPercent": 85}, "imageGCLowThresholdPercent: must be below"),
        ({"imageMinimumGCAge": "soon"}, "imageMinimumGCAge: 'soon' is not a duration"),
        ({"imageMaximumGCAge": "1d"}, "imageMaximumGCAge: '1d' is not a duration"),
        ({"imageMaximumGCAge": "2m"}, "imageMaximumGCAge: must be longer than imageMinimumGCAge"),
        ({"containerLogMaxSize": "much"}, "containerLogMaxSize: 'much' is not a size"),
        ({"containerLogMonitorInterval": "0s"}, "containerLogMonitorInterval: '0s' is not"),
        ({"containerLogMonitorInterval": "2s"}, "containerLogMonitorInterval: must be at least 3s"),
        ({"containerLogMaxFiles": 1}, "containerLogMaxFiles: must be at least 2"),
    ],
)
def test_what_makes_no_sense_is_named(document: dict[str, Any], problem: str) -> None:
    """Beginning with the field."""
    found = housekeeping_problem(read(**document))
    assert found is not None
    assert problem in found
    assert found.split(":")[0].startswith(next(iter(document))[:7])
