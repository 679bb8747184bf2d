"""What of a request travels to the edge, and what of its answer to the client.

The edge is another machine, perhaps in other hands: credentials never go there, and of its headers
only those come back that an answer of a kubelet has.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tunnel.protocol import METHOD_HEADER, RequestHead, ResponseHead

if TYPE_CHECKING:
    from collections.abc import Iterable

# Of the connection (RFC 9110 §7.6.1), of the body that is not sent on, or of the caller alone.
_STAY_HERE = frozenset(
    {
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
        METHOD_HEADER,
    }
)
_STAY_HERE_PREFIXES = ("impersonate-", "x-remote-", "x-forwarded-client-cert")
# A bearer token in the guise of a subprotocol (apiserver authentication/request/websocket).
_BEARER_SUBPROTOCOL = "base64url.bearer.authorization.k8s.io."
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
_VALUE = re.compile(r"[\x20-\x7e]*")


class BadAnswer(Exception):
    """The edge's answer is none that may be passed on."""


def tunnel_request(
    *,
    method: str,
    raw_path: str,
    headers: Iterable[tuple[str, str]],
    peer: str | None,
    protocol: str | None = None,
) -> RequestHead:
    """Make the head that travels to the edge.

    Args:
        method: Of the client's request.
        raw_path: Path and query as they came.
        headers: All headers, repeats kept.
        peer: The client's address, added to X-Forwarded-For.
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
        (name, _without_bearer(value) if name == "sec-websocket-protocol" else value)
        for name, value in pairs
        if name not in _STAY_HERE and name not in named and not name.startswith(_STAY_HERE_PREFIXES)
    ]
    if peer:
        earlier = [value for name, value in kept if name == "x-forwarded-for"]
        kept = [pair for pair in kept if pair[0] != "x-forwarded-for"]
        kept.append(("x-forwarded-for", ", ".join([*earlier, peer])))
    if protocol is not None:
        kept.append((METHOD_HEADER, method))
        method = "CONNECT"
    return RequestHead(method=method, path=raw_path, headers=tuple(kept), protocol=protocol)


def answer_headers(head: ResponseHead, *, is_upgrade: bool = False) -> list[tuple[str, str]]:
    """Return the headers of an edge's answer that go to the client, repeats kept.

    Raises:
        BadAnswer: One of them has a value that no header may have, or the status is a redirect.
    """
    if 300 <= head.status <= 399:
        raise BadAnswer(f"a redirect (status {head.status})")
    allowed = _UPGRADE_ANSWER_HEADERS if is_upgrade else _ANSWER_HEADERS
    headers = [(name.lower(), value) for name, value in head.headers if name.lower() in allowed]
    for name, value in headers:
        if not _VALUE.fullmatch(value):
            raise BadAnswer(f"a value of {name} with control or other characters")
    return headers


def _without_bearer(value: str) -> str:
    names = [name.strip() for name in value.split(",")]
    return ", ".join(name for name in names if not name.startswith(_BEARER_SUBPROTOCOL))
