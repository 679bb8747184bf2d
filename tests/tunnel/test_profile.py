"""What both ends agree on: settings, error names, errors of the library as ours."""

from __future__ import annotations

import h2.exceptions
import pytest
from h2.settings import SettingCodes
from hyperframe.exceptions import InvalidFrameError

from tunnel import errors
from tunnel.profile import error_name, local_settings, protocol_error


def test_only_the_server_allows_extended_connect() -> None:
    """RFC 8441 §3: the setting is the server's to send, and the edge is the server."""
    server = local_settings(is_client=False, max_streams=256)
    client = local_settings(is_client=True, max_streams=256)
    assert server[SettingCodes.ENABLE_CONNECT_PROTOCOL] == 1
    assert not client.enable_connect_protocol


@pytest.mark.parametrize("is_client", [True, False])
def test_both_ends_bound_streams_frames_and_headers(*, is_client: bool) -> None:
    """What docs/protocol.md promises in its table of settings."""
    settings = local_settings(is_client=is_client, max_streams=256)
    assert settings[SettingCodes.MAX_CONCURRENT_STREAMS] == 256
    assert settings[SettingCodes.INITIAL_WINDOW_SIZE] == 64 << 10
    assert settings[SettingCodes.MAX_FRAME_SIZE] == 16 << 10
    assert settings[SettingCodes.MAX_HEADER_LIST_SIZE] == 64 << 10
    assert settings[SettingCodes.ENABLE_PUSH] == 0


@pytest.mark.parametrize(
    ("exception", "kind", "code"),
    [
        (h2.exceptions.FlowControlError("too much"), errors.WindowExceeded, 0x3),
        (h2.exceptions.FrameTooLargeError("too long"), errors.FrameTooLarge, 0x6),
        (h2.exceptions.DenialOfServiceError("a flood"), errors.ExcessiveLoad, 0xB),
        (h2.exceptions.ProtocolError("wrong"), errors.ProtocolError, 0x1),
        (InvalidFrameError(), errors.ProtocolError, 0x1),
    ],
)
def test_errors_of_the_library_become_ours(
    exception: Exception, kind: type[errors.ProtocolError], code: int
) -> None:
    """The code is that of the GOAWAY; the text says what was wrong, never nothing."""
    error = protocol_error(exception)
    assert type(error) is kind
    assert error.error_code == code
    assert str(error)


def test_error_codes_have_names() -> None:
    """People read CANCEL more easily than 0x8; what nobody knows stays a number."""
    assert error_name(0x8) == "CANCEL"
    assert error_name(0xABCD) == "0xabcd"
