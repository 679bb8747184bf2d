"""One line per event, in UTC."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING

import pytest

from provider.telemetry.logging import LEVELS, configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for package in ("provider", "tunnel"):
        logging.getLogger(package).setLevel(logging.NOTSET)


@pytest.mark.parametrize("level", LEVELS)
def test_every_level_can_be_set(level: str) -> None:
    """The names are those of the configuration."""
    configure_logging(level)
    assert logging.getLogger("provider.app").getEffectiveLevel() == getattr(logging, level.upper())


def test_a_line_has_time_level_and_speaker(capsys: pytest.CaptureFixture[str]) -> None:
    """As the module's docstring shows."""
    configure_logging("info")
    logging.getLogger("provider.edge_link").info("session %s began", "x")
    logging.getLogger("aiohttp").info("chatter")
    line = capsys.readouterr().err
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO provider\.edge_link: session x began\n"
    assert re.fullmatch(pattern, line)
