"""What keeps a request to a provider from having an answer, told apart as far as anybody can."""

from __future__ import annotations

import socket
import ssl

from edge_runtime.uplink.enrolment_error import EnrolmentError, Trouble
from edge_runtime.uplink.https_request import AnswerError, ProxyError

# OpenSSL's x509_vfy.h: X509_V_ERR_HOSTNAME_MISMATCH; not yet valid and expired.
_HOSTNAME_MISMATCH = 62
_OUT_OF_TIME = frozenset({9, 10})
# What TLS itself says of a certificate of ours (RFC 8446 §6.2), as OpenSSL names it.
_EXPIRED_ALERT = "CERTIFICATE_EXPIRED"
_REFUSED_ALERTS = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")


def explain_failure(exc: Exception, *, address: str, name: str, timeout_s: float) -> EnrolmentError:
    """Say what kept a request from having an answer.

    Args:
        exc: What the request raised.
        address: ``HOST:PORT`` that was asked.
        name: Whom its certificate had to be for.
        timeout_s: How long it was waited.
    """
    match exc:
        case ssl.SSLCertVerificationError():
            return _explain_verification(exc, address=address, name=name)
        case ssl.SSLError():
            return _explain_tls(exc, address=address)
        case ProxyError():
            return EnrolmentError(Trouble.PROXY, str(exc))
        case AnswerError():
            return not_edgelet(address, str(exc))
        case TimeoutError():
            what = f"{address} gave no answer within {timeout_s:.0f} s"
        case socket.gaierror():
            what = f"the host of {address} cannot be resolved ({exc.strerror})"
        case ConnectionRefusedError():
            what = f"nobody listens on {address}"
        case ConnectionError():
            return EnrolmentError(Trouble.HUNG_UP, f"{address} hung up without an answer")
        case OSError():
            what = f"{address} cannot be reached ({exc.strerror or exc})"
        case _:
            what = f"{address} cannot be asked ({exc})"
    return EnrolmentError(Trouble.UNREACHABLE, what)


def _explain_verification(
    exc: ssl.SSLCertVerificationError, *, address: str, name: str
) -> EnrolmentError:
    if exc.verify_code == _HOSTNAME_MISMATCH:
        return EnrolmentError(Trouble.OTHER_SITE, f"the certificate of {address} is not for {name}")
    if exc.verify_code in _OUT_OF_TIME:
        return EnrolmentError(
            Trouble.CLOCK_SKEW,
            f"by this machine's clock the certificate of {address} is not valid now "
            f"({exc.verify_message})",
        )
    return EnrolmentError(
        Trouble.INTERCEPTED,
        f"the certificate of {address} is not signed by the site's CA, so somebody "
        "between here and the provider opens TLS, as some proxies do",
    )


def _explain_tls(exc: ssl.SSLError, *, address: str) -> EnrolmentError:
    reason = exc.reason or str(exc)
    if _EXPIRED_ALERT in reason:
        return EnrolmentError(Trouble.EXPIRED, f"{address} says that our certificate has expired")
    if "ALERT" in reason and any(alert in reason for alert in _REFUSED_ALERTS):
        return EnrolmentError(
            Trouble.UNKNOWN, f"{address} does not accept our certificate ({reason})"
        )
    return not_edgelet(address, f"TLS failed, {reason.lower().replace('_', ' ')}")


def not_edgelet(address: str, why: str) -> EnrolmentError:
    """Say that something else answered."""
    return EnrolmentError(Trouble.NOT_EDGELET, f"{address} is not an edgelet provider ({why})")
