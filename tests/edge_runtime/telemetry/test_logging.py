"""One record is one line, in the configured form."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING

from edge_runtime.config import LoggingConfig
from edge_runtime.telemetry.logging import JsonFormatter, KeyValueFormatter, configure_logging

if TYPE_CHECKING:
    import pytest


def record(message: str, **extra: object) -> logging.LogRecord:
    """Make a record as ``logger.warning(message, extra=extra)`` does."""
    return logging.getLogger("edge").makeRecord(
        "edge", logging.WARNING, __file__, 1, message, (), None, extra=extra
    )


def test_text_is_pairs_with_blanks_quoted() -> None:
    """What an operator greps for."""
    line = KeyValueFormatter().format(record("tunnel lost", server="cloud:1", reason='cut "off"'))

    assert 'level=warning logger=edge msg="tunnel lost" server=cloud:1' in line
    assert r'reason="cut \"off\""' in line
    assert line.startswith("time=2")


def test_line_break_of_a_peer_stays_in_its_line() -> None:
    """A forged record would need a line of its own."""
    line = KeyValueFormatter().format(record("answered", body="x\nlevel=error msg=forged"))

    assert "\n" not in line


def test_json_is_one_object() -> None:
    """With the fields of ``extra`` beside the standard ones."""
    fields = json.loads(JsonFormatter().format(record("started", pods=3)))

    assert fields["msg"] == "started"
    assert fields["pods"] == 3
    assert fields["level"] == "warning"


def test_exception_is_a_field() -> None:
    """With its traceback, in the same line."""
    try:
        int("boom")
    except ValueError:
        with_exception = logging.getLogger("edge").makeRecord(
            "edge", logging.ERROR, __file__, 1, "broke", (), sys.exc_info()
        )

    line = KeyValueFormatter().format(with_exception)

    assert "ValueError: invalid literal" in line
    assert "\n" not in line


def test_configured_level_decides(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything goes to standard error, nothing to standard output."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logging(LoggingConfig(level="info", format="text"))
        logging.getLogger("edge_runtime.app").debug("hidden")
        logging.getLogger("edge_runtime.app").info("shown")
        logging.getLogger("tunnel.session").info("shown, too")
    finally:
        _restore(handlers, level)

    output = capsys.readouterr()
    assert "msg=shown" in output.err
    assert 'msg="shown, too"' in output.err
    assert "hidden" not in output.err
    assert output.out == ""


def test_libraries_are_quiet_at_debug_level(capsys: pytest.CaptureFixture[str]) -> None:
    """Theirs shows frames and headers, with whatever stands in them."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logging(LoggingConfig(level="debug", format="text"))
        logging.getLogger("edge_runtime.app").debug("shown")
        logging.getLogger("hpack.hpack").debug("Decoded (b'authorization', b'...')")
        logging.getLogger("grpc").info("hidden")
        logging.getLogger("grpc").warning("told")
    finally:
        _restore(handlers, level)

    output = capsys.readouterr()
    assert "msg=shown" in output.err
    assert "msg=told" in output.err
    assert "authorization" not in output.err
    assert "hidden" not in output.err


def _restore(handlers: list[logging.Handler], level: int) -> None:
    root = logging.getLogger()
    root.handlers[:] = handlers
    root.setLevel(level)
    for package in ("edge_runtime", "tunnel"):
        logging.getLogger(package).setLevel(logging.NOTSET)
