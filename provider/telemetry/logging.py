"""Logging: one line per event on stderr, in UTC, with the module that speaks.

2026-01-02T03:04:05.678Z WARNING provider.edge_link.site_session: the session ended: ...

Whatever a peer put into it, an event is one line of bounded length without control characters; the
lines of a traceback are indented.
"""

from __future__ import annotations

import datetime
import logging
import sys
from typing import TYPE_CHECKING

from provider.telemetry.plain_text import plain_line, plain_text

if TYPE_CHECKING:
    from types import TracebackType

# Of one event, and of one traceback.
MAX_CHARACTERS = 8192
LEVELS = ("debug", "info", "warning", "error")


class _UtcFormatter(logging.Formatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Format the time of a record as RFC 3339 in UTC with milliseconds."""
        del datefmt
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Format the event's own line."""
        return plain_line(super().formatMessage(record), max_characters=MAX_CHARACTERS)

    def formatException(
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """Format a traceback; no line of it looks like an event of its own."""
        # The end of it says what happened.
        text = super().formatException(ei)[-MAX_CHARACTERS:]
        return "\n".join(f"  {line}" for line in plain_text(text).split("\n"))


def configure_logging(level: str) -> None:
    """Send the log to stderr.

    Libraries stay at warning, so that ``debug`` shows this program and no credentials in their
    headers.

    Args:
        level: One of LEVELS.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_UtcFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for package in ("provider", "tunnel"):
        logging.getLogger(package).setLevel(level.upper())
