"""What of a request travels to the edge, and what of its answer to the client.

The edge is another machine, perhaps in other hands: credentials never go there, and of its headers
only those come back that an answer of a kubelet has. What the edge is told about the caller is what
the kubelet port found out, never what a header of the caller says.
"""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from typing import TYPE_CHECKING

from tunnel.protocol import (
    AUDIT_ID_HEADER,
    CALLER_HEADER,
    METHOD_HEADER,
    RequestHead,
    ResponseHead,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

# Of the connection (RFC 9110 §7.6.1), of the body that is not sent on, or of the caller alone.
_STAY_HERE = frozenset(
    {
        AUDIT_ID_HEADER,
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-client-cert",
    }
)
_STAY_HERE_PREFIXES = ("edgelet-", "impersonate-", "x-remote-")
# A bearer token in the guise of a subprotocol (apiserver authentication/request/websocket).
BEARER_SUBPROTOCOL = "base64url.bearer.authorization.k8s.io."
_ANSWER_HEADERS = frozenset(
    {
        "allow",
        "cache-control",
        "content-encoding",
        "content-length",
        "content-type",
        "retry-after",
        "warning",
        "x-content-type-options",
    }
)
_UPGRADE_ANSWER_HEADERS = frozenset(
    {
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-protocol",
        "x-stream-protocol-version",
    }
)
# apiserver pkg/audit/context.go cuts longer ones; its own are UUIDs.
_AUDIT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
MAX_CALLER_LENGTH = 512
_CALLER_HASH_LENGTH = 32
_MAX_VALUE_BYTES = 4096
_VALUE = re.compile(rf"[\x20-\x7e]{{0,{_MAX_VALUE_BYTES}}}")
_LENGTH = re.compile(r"[0-9]{1,18}")
# They have no body, whatever follows them: the next answer on the connection would begin there.
_WITHOUT_BODY = frozenset({204, 205})


class BadAnswer(Exception):
    """The edge's answer is none that may be passed on."""


def tunnel_request(
    *,
    method: str,
    raw_path: str,
    headers: Iterable[tuple[str, str]],
    peer: str | None,
    caller: str,
    protocol: str | None = None,
) -> RequestHead:
    """Make the head that travels to the edge.

    Of a request's Audit-ID it has what an API server would have sent there, or nothing.

    Args:
        method: Of the client's request.
        raw_path: Path and query as they came.
        headers: All headers, repeats kept.
        peer: The client's address, added to X-Forwarded-For.
        caller: Name of the authenticated user.
        protocol: The Upgrade token of a call that takes the connection over.
    """
    pairs = [(name.lower(), value) for name, value in headers]
    named = {
        token.strip().lower()
        for name, value in pairs
        if name == "connection"
        for token in value.split(",")
    }
    kept = [
        (name, value)
        for name, value in map(_without_bearer, pairs)
        if name not in _STAY_HERE
        and name not in named
        and not name.startswith(_STAY_HERE_PREFIXES)
        and (value or name != "sec-websocket-protocol")
    ]
    if peer:
        earlier = [value for name, value in kept if name == "x-forwarded-for"]
        kept = [pair for pair in kept if pair[0] != "x-forwarded-for"]
        kept.append(("x-forwarded-for", ", ".join([*earlier, peer])))
    kept.append((CALLER_HEADER, _caller_value(caller)))
    audit_ids = [value for name, value in pairs if name == AUDIT_ID_HEADER]
    if len(audit_ids) == 1 and _AUDIT_ID.fullmatch(audit_ids[0]):
        kept.append((AUDIT_ID_HEADER, audit_ids[0]))
    if protocol is not None:
        kept.append((METHOD_HEADER, method))
        method = "CONNECT"
    return RequestHead(method=method, path=raw_path, headers=tuple(kept), protocol=protocol)


def answer_headers(head: ResponseHead, *, is_upgrade: bool = False) -> list[tuple[str, str]]:
    """Return the headers of an edge's answer that go to the client, repeats kept.

    Raises:
        BadAnswer: One of them has a value that no header may have, or the status is a redirect or
            one of an answer without a body.
    """
    if 300 <= head.status <= 399:
        raise BadAnswer(f"a redirect (status {head.status})")
    if head.status in _WITHOUT_BODY:
        raise BadAnswer(f"status {head.status}, which no call of a kubelet has")
    allowed = _UPGRADE_ANSWER_HEADERS if is_upgrade else _ANSWER_HEADERS
    headers = [(name.lower(), value) for name, value in head.headers if name.lower() in allowed]
    for name, value in headers:
        if not _VALUE.fullmatch(value):
            raise BadAnswer(
                f"a value of {name} that is too long, or has control or other characters"
            )
    lengths = [value for name, value in headers if name == "content-length"]
    if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
        raise BadAnswer("a content-length that is no single number")
    return headers


def _without_bearer(pair: tuple[str, str]) -> tuple[str, str]:
    name, value = pair
    if name != "sec-websocket-protocol":
        return pair
    offered = [text.strip() for text in value.split(",")]
    return name, ", ".join(
        text for text in offered if not text.lower().startswith(BEARER_SUBPROTOCOL)
    )


def _caller_value(caller: str) -> str:
    """Return a user's name as a header's value: percent-encoded where it must be.

    A name that is too long is cut and ends with a hash of all of it, so that no two are the same.
    """
    value = urllib.parse.quote(caller, safe="!$&'()*+,-./:;=@_~")
    if len(value) <= MAX_CALLER_LENGTH:
        return value
    digest = hashlib.sha256(caller.encode("utf-8", "surrogatepass")).hexdigest()
    end = f"...{digest[:_CALLER_HASH_LENGTH]}"
    return value[: MAX_CALLER_LENGTH - len(end)] + end
