"""The configuration file: what is wrong with it is one sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.config import ConfigError, EdgeConfig
from edge_runtime.config_file import load_config

if TYPE_CHECKING:
    from pathlib import Path


def test_no_file_is_all_defaults() -> None:
    """As `edgelet run` without an option."""
    assert load_config(None) == EdgeConfig()


def test_missing_file_is_named(tmp_path: Path) -> None:
    """With the reason of the operating system."""
    with pytest.raises(ConfigError, match=r"cannot read .*absent\.yaml: No such file"):
        load_config(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server: [", r"config\.yaml is no YAML in line 1"),
        ("", r"config\.yaml: the document is not a mapping"),
        ("server: a:1\nspeed: 9\n", r"config\.yaml: object contains unknown"),
        ("a: 1\n" * 300_000, r"config\.yaml has more than 1048576 bytes"),
    ],
)
def test_bad_file_is_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    """That names the file."""
    path = tmp_path / "config.yaml"
    path.write_text(text)

    with pytest.raises(ConfigError, match=said):
        load_config(path)
