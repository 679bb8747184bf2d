"""Logging: one line per event on stderr, in UTC, with the module that speaks.

2026-01-02T03:04:05.678Z WARNING provider.edge_link.site_session: the session ended: ...
"""

from __future__ import annotations

import datetime
import logging
import sys

LEVELS = ("debug", "info", "warning", "error")


class _UtcFormatter(logging.Formatter):
    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Format the time of a record as RFC 3339 in UTC with milliseconds."""
        del datefmt
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


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
