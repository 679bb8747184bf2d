"""The parts of the edge's configuration that keep its disk from filling up; pure.

Names and defaults are KubeletConfiguration's, but for the parallel pulls.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from edge_runtime.objects.duration import parse_duration_s
from edge_runtime.objects.quantity import QuantityError, parse_quantity

# Files that are put aside are named by the second: two of one second would be one.
# Source: kubernetes pkg/kubelet/apis/config/validation/validation.go.
MIN_LOG_MONITOR_INTERVAL_S = 3


class HousekeepingConfig(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """How images and logs are kept.

    Attributes:
        serialize_image_pulls: Pull one image at a time.
        max_parallel_image_pulls: Else so many; null for no limit.
        image_pull_credentials_verification_policy: Of which images a pod must show that it may have
            them, although they are there.
        preloaded_images_verification_allowlist: Images without tag, or ``prefix/*``, of which none
            must, under ``NeverVerifyAllowlistedImages``.
        image_gc_high_threshold_percent: Above this use of the disk, images that no container uses
            are removed; 100 turns it off.
        image_gc_low_threshold_percent: Until it is this low.
        image_minimum_gc_age: Images younger than this stay, a duration.
        image_maximum_gc_age: Images unused for longer go whatever the disk says, a duration; "0s"
            turns it off.
        container_log_max_size: A log file that is larger is put aside, a quantity of bytes; a
            negative one turns it off.
        container_log_max_files: Log files of one container, with the one that is written.
        container_log_monitor_interval: How often logs are looked at, a duration of at least 3 s.
    """

    serialize_image_pulls: bool = False
    max_parallel_image_pulls: int | None = 3
    image_pull_credentials_verification_policy: Literal[
        "NeverVerifyPreloadedImages",
        "NeverVerify",
        "NeverVerifyAllowlistedImages",
        "AlwaysVerify",
    ] = "NeverVerifyPreloadedImages"
    preloaded_images_verification_allowlist: tuple[str, ...] = ()
    image_gc_high_threshold_percent: int = msgspec.field(
        name="imageGCHighThresholdPercent", default=85
    )
    image_gc_low_threshold_percent: int = msgspec.field(
        name="imageGCLowThresholdPercent", default=80
    )
    image_minimum_gc_age: str = msgspec.field(name="imageMinimumGCAge", default="2m")
    image_maximum_gc_age: str = msgspec.field(name="imageMaximumGCAge", default="0s")
    container_log_max_size: str = "10Mi"
    container_log_max_files: int = 5
    container_log_monitor_interval: str = "10s"

    @property
    def image_minimum_gc_age_s(self) -> float:
        """``image_minimum_gc_age`` in seconds."""
        return _parse_duration_s(self.image_minimum_gc_age)

    @property
    def image_maximum_gc_age_s(self) -> float:
        """``image_maximum_gc_age`` in seconds; 0 for none."""
        return _parse_duration_s(self.image_maximum_gc_age)

    @property
    def container_log_max_bytes(self) -> int:
        """``container_log_max_size`` in bytes; negative for no limit."""
        return int(parse_quantity(self.container_log_max_size))

    @property
    def container_log_monitor_interval_s(self) -> float:
        """``container_log_monitor_interval`` in seconds."""
        return parse_duration_s(self.container_log_monitor_interval)


def housekeeping_problem(config: HousekeepingConfig) -> str | None:
    """Return which field makes no sense and why, None for a good configuration."""
    return _pulls_problem(config) or _image_gc_problem(config) or _logs_problem(config)


def _pulls_problem(config: HousekeepingConfig) -> str | None:
    if config.max_parallel_image_pulls is not None and config.max_parallel_image_pulls < 1:
        return "maxParallelImagePulls: must be at least 1, or null for no limit"
    for pattern in config.preloaded_images_verification_allowlist:
        name = pattern.removesuffix("/*")
        if not name or name != name.strip() or "*" in name or "@" in name:
            return f"preloadedImagesVerificationAllowlist: {pattern!r} is no image or prefix/*"
    return None


def _image_gc_problem(config: HousekeepingConfig) -> str | None:
    high, low = config.image_gc_high_threshold_percent, config.image_gc_low_threshold_percent
    for name, percent in (("High", high), ("Low", low)):
        if not 0 <= percent <= 100:
            return f"imageGC{name}ThresholdPercent: {percent} is not from 0 to 100"
    if low >= high:
        return "imageGCLowThresholdPercent: must be below imageGCHighThresholdPercent"
    for name, text in (
        ("imageMinimumGCAge", config.image_minimum_gc_age),
        ("imageMaximumGCAge", config.image_maximum_gc_age),
    ):
        try:
            _parse_duration_s(text)
        except ValueError as exc:
            return f"{name}: {exc}"
    if 0 < config.image_maximum_gc_age_s <= config.image_minimum_gc_age_s:
        return "imageMaximumGCAge: must be longer than imageMinimumGCAge, or 0s"
    return None


def _logs_problem(config: HousekeepingConfig) -> str | None:
    try:
        _ = config.container_log_max_bytes
    except QuantityError:
        return f"containerLogMaxSize: {config.container_log_max_size!r} is not a size such as 10Mi"
    try:
        interval_s = config.container_log_monitor_interval_s
    except ValueError as exc:
        return f"containerLogMonitorInterval: {exc}"
    if interval_s < MIN_LOG_MONITOR_INTERVAL_S:
        return f"containerLogMonitorInterval: must be at least {MIN_LOG_MONITOR_INTERVAL_S}s"
    if config.container_log_max_files < 2:
        return "containerLogMaxFiles: must be at least 2"
    return None


def _parse_duration_s(text: str) -> float:
    return 0.0 if text in {"0", "0s"} else parse_duration_s(text)
