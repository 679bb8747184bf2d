"""A log that is followed through the tunnel, and what its reader is told when it breaks off; pure.

An API server ends its answer as if the log had ended when the node's connection breaks (apiserver
pkg/endpoints/handlers/responsewriters/writers.go ``StreamObject`` drops the error), and passes no
trailers on. So the last bytes of the log itself must say that there is more, and where it begins.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from provider.telemetry.plain_text import plain_line
from tunnel.log_positions import (
    NS_PER_S,
    LogFrameDecoder,
    LogFramesBroken,
    exact_limit,
    fraction_of_limit,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_FLAGS = {"previous": "--previous", "timestamps": "--timestamps"}
_MAX_REASON_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCall:
    """Which log a call follows.

    Attributes:
        site: Whose node it is.
        namespace: The pod's.
        pod: Its name.
        container: Its container's name.
        query: The query's parameters, the first value of each.
    """

    site: str
    namespace: str
    pod: str
    container: str
    query: Mapping[str, str]


class FollowedLog:
    """Takes the log out of its frames and remembers how far it came."""

    def __init__(self, call: LogCall) -> None:
        self._call = call
        self._decoder = LogFrameDecoder()
        self._position_ns = 0
        self._is_at_line_start = True

    def receive_data(self, data: bytes) -> bytes:
        """Take what the edge sent and return what the client gets: whole frames only.

        Raises:
            LogFramesBroken: It is no log.
        """
        frames = self._decoder.receive_data(data)
        for frame in frames:
            self._position_ns = frame.position_ns or self._position_ns
        text = b"".join(frame.text for frame in frames)
        if text:
            self._is_at_line_start = text.endswith(b"\n")
        return text

    def end(self) -> None:
        """Take the end of what the edge sent.

        Raises:
            LogFramesBroken: It ended within a frame.
        """
        if self._decoder.is_within_frame:
            raise LogFramesBroken("it ended too early")

    def notice(self, reason: str) -> bytes:
        """Return the last bytes of a log that broke off: that it did, and how to go on."""
        reason = plain_line(reason, max_characters=_MAX_REASON_CHARACTERS)
        lines = [f"edgelet: the log of site {self._call.site} broke off here: {reason}"]
        if self._position_ns:
            time = _rfc3339(self._position_ns + 1)
            lines += [f"edgelet: it goes on at {time}:", f"edgelet:   {self._command()}"]
        else:
            lines.append("edgelet: no whole line was shown: give the same command again")
        start = "" if self._is_at_line_start else "\n"
        return (start + "\n".join(lines) + "\n").encode()

    def _command(self) -> str:
        call = self._call
        next_ns = self._position_ns + 1
        words = ["kubectl", "logs", "-f", "-n", call.namespace, call.pod, "-c", call.container]
        words += [flag for name, flag in _FLAGS.items() if call.query.get(name) == "true"]
        words.append(f"--since-time={_rfc3339(next_ns - next_ns % NS_PER_S)}")
        if not self._has_limit():
            words.append(f"--limit-bytes={exact_limit(next_ns)}")
        return shlex.join(words)

    def _has_limit(self) -> bool:
        limit = self._call.query.get("limitBytes", "")
        return limit.isdecimal() and fraction_of_limit(int(limit[:19])) is None


def _rfc3339(time_ns: int) -> str:
    seconds, fraction = divmod(time_ns, NS_PER_S)
    moment = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
    return f"{moment}.{fraction:09}Z" if fraction else f"{moment}Z"
