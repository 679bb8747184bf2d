"""How Go writes durations, quoted text and gRPC errors, which end up in events; pure.

Source: Go's time.Duration.String, strconv.Quote; google.golang.org/grpc/internal/status.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_runtime.runtime.errors import RuntimeServiceError

_ESCAPES = {
    "\\": "\\\\",
    '"': '\\"',
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def go_seconds(seconds: int) -> str:
    """Write whole seconds: ``30s``, ``1m30s``, ``1h0m0s``."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def go_quote(text: str) -> str:
    """Write text as ``%q`` does."""
    return '"' + "".join(_ESCAPES.get(each) or _printable(each) for each in text) + '"'


def rpc_error_text(error: RuntimeServiceError) -> str:
    """Write a failed call of the runtime: ``rpc error: code = NotFound desc = no such task``."""
    name = type(error).__name__
    code = "Unknown" if name in ("UnknownFailure", "RuntimeServiceError") else name
    return f"rpc error: code = {code} desc = {error.message}"


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    number = ord(character)
    if number < 0x80:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"
