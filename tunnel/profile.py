"""What both ends agree on beside HTTP/2 itself: names of the upgrade, roles, settings, errors.

Source: docs/protocol.md §1 and §3; RFC 9113 §6.5.2 and §7, RFC 8441 §3.
"""

from __future__ import annotations

import enum

import h2.connection
import h2.exceptions
from h2.errors import ErrorCodes
from h2.settings import SettingCodes, Settings

from tunnel.errors import ExcessiveLoad, FrameTooLarge, ProtocolError, WindowExceeded
from tunnel.flow import START_WINDOW_BYTES
from tunnel.frames import MAX_FRAME_BYTES
from tunnel.heads import MAX_HEADER_LIST_BYTES

TUNNEL_SUBPROTOCOL = "edgelet.h2.v1"
TUNNEL_PATH = "/tunnel"
INSTANCE_HEADER = "Edgelet-Instance"
SESSION_HEADER = "Edgelet-Session"
RECEIVED_HEADER = "Edgelet-Received"
METHOD_HEADER = "edgelet-method"
# Who calls, as the kubelet port knows it, and the audit id of the request: for the audit log.
CALLER_HEADER = "edgelet-caller"
AUDIT_ID_HEADER = "audit-id"


class Role(enum.Enum):
    """Who asks: the provider is the client, the edge the server, whoever dialled."""

    CLIENT = "client"
    SERVER = "server"


class Connection(h2.connection.H2Connection):
    """h2's connection with our bounds."""

    # How late streams ended is remembered for frames that were under way; 65536 would keep 10 MB
    # for ever.
    MAX_CLOSED_STREAMS = 4096


def error_name(error_code: int) -> str:
    """Return the name of an HTTP/2 error code, as ``CANCEL``; unknown ones as a number."""
    try:
        return ErrorCodes(error_code).name
    except ValueError:
        return f"{error_code:#x}"


def local_settings(*, is_client: bool, max_streams: int) -> Settings:
    """Return the SETTINGS that this end sends; the server alone allows extended CONNECT."""
    values = {
        SettingCodes.INITIAL_WINDOW_SIZE: START_WINDOW_BYTES,
        SettingCodes.MAX_FRAME_SIZE: MAX_FRAME_BYTES,
        SettingCodes.MAX_HEADER_LIST_SIZE: MAX_HEADER_LIST_BYTES,
        SettingCodes.MAX_CONCURRENT_STREAMS: max_streams,
        SettingCodes.ENABLE_PUSH: 0,
    }
    if not is_client:
        values[SettingCodes.ENABLE_CONNECT_PROTOCOL] = 1
    return Settings(client=is_client, initial_values=values)


def protocol_error(exc: Exception) -> ProtocolError:
    """Return an error of h2 or hyperframe as ours, with the code of the GOAWAY that answers it."""
    code = int(getattr(exc, "error_code", ErrorCodes.PROTOCOL_ERROR))
    text = str(exc) or type(exc).__name__
    if isinstance(exc, h2.exceptions.FlowControlError):
        return WindowExceeded(text)
    if isinstance(exc, h2.exceptions.FrameTooLargeError):
        return FrameTooLarge(text)
    if isinstance(exc, h2.exceptions.DenialOfServiceError | h2.exceptions.TooManyStreamsError):
        return ExcessiveLoad(text)
    return ProtocolError(text, error_code=code)
