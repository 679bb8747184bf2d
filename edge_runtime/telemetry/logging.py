"""Structured logging to standard error: one line a record, as ``key=value`` pairs or as JSON.

Modules log with the standard library: ``logger.info("pod started", extra={"pod": "ns/name"})``.
Whatever stands in ``extra`` becomes a field. Line breaks are escaped, so that a record is one
line whatever a peer sent.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_runtime.config import LoggingConfig

# What every record has; the rest of its attributes came from ``extra``.
_STANDARD = frozenset(
    logging.LogRecord(
        name="", level=0, pathname="", lineno=0, msg="", args=None, exc_info=None
    ).__dict__
) | {"message", "asctime", "taskName"}
_OWN_PACKAGES = ("edge_runtime", "tunnel")
_PLAIN = re.compile(r"[^\s\"=\\\x00-\x1f\x7f]+")


def configure_logging(config: LoggingConfig) -> None:
    """Send the records of the process to standard error in the configured form.

    Libraries stay at warning, so that ``debug`` shows this program and neither frames nor headers
    with whatever stands in them. Safe to call again: it replaces what was there.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if config.format == "json" else KeyValueFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    level = logging.getLevelNamesMapping()[config.level.upper()]
    root.setLevel(max(level, logging.WARNING))
    for package in _OWN_PACKAGES:
        logging.getLogger(package).setLevel(level)
    # The library's own warnings are our dialer's business.
    logging.getLogger("websockets").setLevel(logging.ERROR)


class KeyValueFormatter(logging.Formatter):
    """``time=… level=info logger=… msg="…" key=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one line of pairs; values with blanks or quotes are JSON strings."""
        return " ".join(f"{key}={_quote(value)}" for key, value in _fields(self, record).items())


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as one JSON object."""
        return json.dumps(_fields(self, record), default=str, ensure_ascii=False)


def _fields(formatter: logging.Formatter, record: logging.LogRecord) -> dict[str, Any]:
    when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    fields: dict[str, Any] = {
        "time": when.replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "msg": record.getMessage(),
    }
    fields.update({key: value for key, value in record.__dict__.items() if key not in _STANDARD})
    if record.exc_info:
        fields["exception"] = formatter.formatException(record.exc_info)
    return fields


def _quote(value: object) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text, ensure_ascii=False)
