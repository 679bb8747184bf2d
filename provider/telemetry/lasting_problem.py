"""A problem that may last: said once, again when it changes, and when it is over."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging


class LastingProblem:
    """Logs what is tried again and again, without a line for every try.

    Args:
        logger: Of the module that tries.
        what: Opens each line, such as "the Lease of node site-a".
    """

    def __init__(self, logger: logging.Logger, what: str) -> None:
        self._logger = logger
        self._what = what
        self._said = ""

    def occurred(self, error: Exception) -> None:
        """Log the failure of one try, unless the one before failed in the same way."""
        text = str(error)
        if text != self._said:
            self._said = text
            self._logger.warning("%s: %s; tried again until it works", self._what, text)

    def solved(self) -> None:
        """Log that a try succeeded after one that failed; otherwise say nothing."""
        if self._said:
            self._said = ""
            self._logger.info("%s: it works again", self._what)
