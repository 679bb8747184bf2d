"""What went wrong with a dial, in one sentence that says where to look."""

from __future__ import annotations

import socket
import ssl

import msgspec
from websockets.exceptions import (
    InvalidHandshake,
    InvalidProxy,
    InvalidStatus,
    ProxyError,
    WebSocketException,
)

from edge_runtime.uplink.credentials import CredentialsError
from edge_runtime.uplink.enrolment_error import REFUSALS, EnrolmentError, one_line
from tunnel.enrolment import Refusal, RefusalReason

# OpenSSL's x509_vfy.h: X509_V_ERR_HOSTNAME_MISMATCH; expired and not yet valid.
_HOSTNAME_MISMATCH = 62
_OUT_OF_TIME = frozenset({9, 10})
_SHOWN_BODY_CHARACTERS = 200


class DialError(Exception):
    """A dial failed; the text is the sentence.

    Attributes:
        is_final: Whether the provider refuses this edge for good, until a person does something.
    """

    def __init__(self, sentence: str, *, is_final: bool = False) -> None:
        super().__init__(sentence)
        self.is_final = is_final


def dial_error(exc: Exception, *, address: str, server_hostname: str, ca_file: str) -> DialError:
    """Say in one sentence why a dial failed.

    Args:
        exc: What the dial raised.
        address: ``HOST:PORT`` as configured.
        server_hostname: The name that the provider's certificate must carry.
        ca_file: The file that holds the site's CA.
    """
    if isinstance(exc, DialError):
        return exc
    if isinstance(exc, InvalidStatus):
        refusal = _refusal(exc)
        if refusal is not None:
            return DialError(str(refusal), is_final=refusal.is_final)
    return DialError(
        _describe(exc, address=address, server_hostname=server_hostname, ca_file=ca_file)
    )


def _refusal(exc: InvalidStatus) -> EnrolmentError | None:
    """Return what a provider says of our certificate, None if that is not what it says."""
    try:
        refusal = msgspec.json.decode(exc.response.body or b"", type=Refusal)
        trouble = REFUSALS[RefusalReason(refusal.reason)]
    except (msgspec.DecodeError, ValueError, KeyError):
        return None
    return EnrolmentError(trouble, one_line(refusal.message))


def _describe(exc: Exception, *, address: str, server_hostname: str, ca_file: str) -> str:
    match exc:
        case CredentialsError():
            return str(exc)
        case TimeoutError():
            return f"no answer from {address} in time"
        case ssl.SSLCertVerificationError():
            return _describe_verification(
                exc, address=address, server_hostname=server_hostname, ca_file=ca_file
            )
        case ssl.SSLError():
            reason = (exc.reason or str(exc)).lower().replace("_", " ")
            return f"TLS with {address} failed: {reason}"
        case socket.gaierror():
            return f"the host of {address} cannot be resolved: {exc.strerror}"
        case ConnectionRefusedError():
            return f"nobody listens on {address}"
        case OSError():
            return f"{address} cannot be reached: {exc.strerror or exc}"
        case WebSocketException():
            return _describe_handshake(exc, address=address)
        case _:
            return f"dialing {address} failed: {type(exc).__name__}: {exc}"


def _describe_verification(
    exc: ssl.SSLCertVerificationError, *, address: str, server_hostname: str, ca_file: str
) -> str:
    if exc.verify_code == _HOSTNAME_MISMATCH:
        return f"the certificate of {address} is not for {server_hostname}: is it another site's?"
    if exc.verify_code in _OUT_OF_TIME:
        return f"the certificate of {address} is not valid now ({exc.verify_message})"
    return f"the certificate of {address} is not signed by the CA in {ca_file}"


def _describe_handshake(exc: WebSocketException, *, address: str) -> str:
    if isinstance(exc, InvalidStatus):
        status, body = exc.response.status_code, exc.response.body or b""
        text = body.decode(errors="replace").strip()[:_SHOWN_BODY_CHARACTERS]
        return f"{address} answered {status}" + (f": {text}" if text else "")
    if isinstance(exc, ProxyError | InvalidProxy):
        return f"the proxy does not let us reach {address}: {exc}"
    if isinstance(exc, InvalidHandshake):
        cause = exc.__cause__
        detail = f"{exc} ({cause})" if cause is not None and str(cause) else str(exc)
        return f"{address} ended the handshake, perhaps it refuses our certificate: {detail}"
    return f"{address} broke the WebSocket protocol: {exc}"
