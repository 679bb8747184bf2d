"""What inotify tells of a log's folder, and what it means for one log; pure.

Source: inotify(7); an event is ``struct inotify_event`` in the machine's own byte order: watch
descriptor, mask, cookie and length of the name, then the name, filled up with zeros.
"""

from __future__ import annotations

import enum
import struct

_EVENT = struct.Struct("=iIII")
# Of <sys/inotify.h>.
_MODIFY = 0x2
_QUEUE_OVERFLOW = 0x4000


class LogChange(enum.IntEnum):
    """What happened to a log; of several, the highest counts."""

    GROWN = 1
    REPLACED = 2


def decode_change(events: bytes, log_name: bytes) -> LogChange | None:
    """Return what whole events of a folder mean for the log of that name, None for nothing.

    Other files of the folder do not count: the container's next attempt writes its log there. Those
    that were put aside do, since the runtime writes to one until it opens the log anew. Events that
    were dropped may have been of the log's replacement.
    """
    change: LogChange | None = None
    place = 0
    while place < len(events):
        _, mask, _, length = _EVENT.unpack_from(events, place)
        place += _EVENT.size + length
        if not mask & _QUEUE_OVERFLOW:
            name = events[place - length : place].rstrip(b"\0")
            if name != log_name and not name.startswith(log_name + b"."):
                continue
            if mask & _MODIFY:
                change = change or LogChange.GROWN
                continue
        change = LogChange.REPLACED
    return change
