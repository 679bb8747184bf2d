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


def test_a_peer_forges_no_line_and_speaks_to_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Neither in an event nor in a traceback; and neither has no end."""
    forged = "2026-01-02T03:04:05.678Z ERROR provider: forged"
    lie = f"\r\n{forged}\x1b[2J\n" + "x" * 100_000
    configure_logging("info")
    logger = logging.getLogger("provider.edge_link")
    logger.warning("the edge says %s", lie)
    try:
        int(lie[:1000])
    except ValueError:
        logger.exception("it broke")
    written = capsys.readouterr().err
    lines = written.splitlines()
    assert len(written) < 20_000
    assert not any(line.startswith(forged[:10]) and "forged" in line[:60] for line in lines)
    assert "\x1b" not in written
    assert lines[1].endswith("it broke")
    assert all(line.startswith("  ") for line in lines[2:])
