"""The configuration file, from disk to values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provider.config import Config, ConfigError, parse_config

if TYPE_CHECKING:
    from pathlib import Path


def read_config(file: Path) -> Config:
    """Read and check the configuration file.

    Raises:
        ConfigError: It cannot be read, is no YAML, or says something that cannot be; names the
            file.
    """
    # Late, like all that is not needed for --help.
    import yaml

    try:
        document = yaml.safe_load(file.read_bytes())
    except OSError as exc:
        raise ConfigError(f"cannot read {file}: {exc.strerror}") from exc
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        where = getattr(exc, "problem_mark", None)
        place = f", line {where.line + 1}" if where is not None else ""
        raise ConfigError(f"{file}{place}: not YAML") from exc
    try:
        return parse_config(document)
    except ConfigError as exc:
        raise ConfigError(f"{file}: {exc}") from exc
