"""Reads the configuration file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.config import ConfigError, EdgeConfig, decode_config

if TYPE_CHECKING:
    from pathlib import Path

MAX_CONFIG_BYTES = 1 << 20


def load_config(path: Path | None) -> EdgeConfig:
    """Read a configuration file; None is all defaults.

    Raises:
        ConfigError: It cannot be read, is no YAML, or a field is wrong; one sentence.
    """
    if path is None:
        return EdgeConfig()

    import yaml

    try:
        with path.open("rb") as file:
            text = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as exc:
        raise ConfigError(f"cannot read {path}: {exc.strerror}") from exc
    if len(text) > MAX_CONFIG_BYTES:
        raise ConfigError(f"{path} has more than {MAX_CONFIG_BYTES} bytes")
    try:
        return decode_config(yaml.safe_load(text))
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{path} is no YAML{where}") from exc
    except ConfigError as exc:
        raise ConfigError(f"{path}: {exc}") from exc
