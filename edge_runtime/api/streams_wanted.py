"""Which standard streams a request asks for; pure.

Source: cri-streaming pkg/streaming/remotecommand/httpstream.go ``NewOptions``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge_runtime.api.request import ApiError

if TYPE_CHECKING:
    from edge_runtime.api.request import ApiRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamsWanted:
    """Standard streams of an exec or attach; a terminal has no stderr of its own."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


def parse_streams_wanted(request: ApiRequest) -> StreamsWanted:
    """Read ``input``, ``output``, ``error`` and ``tty``; only a literal ``1`` means yes.

    Raises:
        ApiError: 400 when no stream is asked for.
    """
    tty, stdin, stdout, stderr = (
        request.first(name) == "1" for name in ("tty", "input", "output", "error")
    )
    stderr = stderr and not tty
    if not (stdin or stdout or stderr):
        raise ApiError(400, "you must specify at least 1 of stdin, stdout, stderr")
    return StreamsWanted(stdin=stdin, stdout=stdout, stderr=stderr, tty=tty)
