"""What can go wrong in devcluster.

DevclusterError          one sentence for the user, exit status 1
└── Unprepared           the machine or the command line is not ready: exit status 2
"""

from __future__ import annotations


class DevclusterError(Exception):
    """A step failed; the text is one sentence that says which and where to look."""

    exit_status = 1


class Unprepared(DevclusterError):
    """The machine or the command line is not ready; the text names the command that fixes it."""

    exit_status = 2
