"""Errors of the tunnel.

TunnelError
├── IdentityError              a name or certificate that is no site's
├── HeadError                  a request or response head that cannot be sent; nothing was sent
├── ProtocolError              the peer broke the rules; carries the HTTP/2 error code that answers
│   ├── WindowExceeded         more bytes than were granted
│   ├── FrameTooLarge          a frame longer than was allowed
│   ├── ExcessiveLoad          headers without end, or frames that carry nothing, in masses
│   ├── PipeError              a message of the pipe that cannot be true
│   └── SyncError              a sync message or fragment that cannot be read
├── SessionClosed              the session is over, for whatever reason
└── StreamReset                one stream was ended early by either end
"""

from __future__ import annotations


class TunnelError(Exception):
    """Base of everything that the tunnel raises."""


class IdentityError(TunnelError):
    """A site name, or a name in a certificate, that edgelet does not accept."""


class HeadError(TunnelError):
    """A request or response head that HTTP/2 or the peer would not take; nothing was sent."""


class ProtocolError(TunnelError):
    """The peer sent what it must not send; the session cannot go on.

    Attributes:
        error_code: HTTP/2 error code of the GOAWAY that answers it (RFC 9113 §7).
    """

    error_code = 0x1

    def __init__(self, message: str, *, error_code: int | None = None) -> None:
        super().__init__(message)
        if error_code is not None:
            self.error_code = error_code


class WindowExceeded(ProtocolError):
    """The peer sent more than its window allowed, or grew a window past 2^31-1."""

    error_code = 0x3


class FrameTooLarge(ProtocolError):
    """A frame header announces more than the largest frame that we accept."""

    error_code = 0x6


class ExcessiveLoad(ProtocolError):
    """Too many frames that carry no bytes of a call, or a header block over the limit."""

    error_code = 0xB


class PipeError(ProtocolError):
    """A pipe message with an unknown type, an impossible length or an impossible count."""


class SyncError(ProtocolError):
    """A sync message or fragment that is too large, torn, ill-typed or of an unknown type."""


class SessionClosed(TunnelError):
    """The session ended; all its streams ended with it.

    Attributes:
        reason: One sentence for a person, without a trailing full stop.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StreamReset(TunnelError):
    """A stream was reset by either end; its session may go on.

    Attributes:
        error_code: HTTP/2 error code (RFC 9113 §7); 0x8 is CANCEL.
        reason: One sentence for a person.
    """

    def __init__(self, error_code: int, reason: str) -> None:
        super().__init__(reason)
        self.error_code = error_code
        self.reason = reason
