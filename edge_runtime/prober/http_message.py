"""HTTP requests of probes and hooks, and what their answers say; pure.

Source: kubernetes pkg/probe/http/request.go ``NewRequestForHTTPGetAction``, pkg/probe/util.go
``ResolveContainerPort``; Go's net/url and net/http for how a URL is written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

from edge_runtime.objects.go_text import go_quote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.objects.container import Container, Json

# Source: kubernetes component-base/version, written ``major.minor``.
KUBELET_MINOR_VERSION = "1.36"
DEFAULT_PORTS = {"http": 80, "https": 443}
REDIRECTS = (301, 302, 303, 307, 308)
_STATUS_LINE = re.compile(r"HTTP/[0-9]\.[0-9] ([0-9]{3})(?: .*)?")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FORBIDDEN_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What Go leaves as it is in a path.
_PATH_SAFE = "/$&+,:;=@!'()*~"
_BROKEN = "net/http: HTTP/1.x transport connection broken"


class BadRequest(Exception):
    """The request cannot be made; the text is the kubelet's."""


class BadAnswer(Exception):
    """What came back is no HTTP answer; the text is Go's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GetRequest:
    """A GET.

    Attributes:
        scheme: ``http`` or ``https``.
        host: Address or name, without brackets.
        target: Path and query as sent.
        headers: In the order they are sent, names in HTTP's usual case; without Host.
        host_header: What the Host header says, "" for the address.
    """

    scheme: str
    host: str
    port: int
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    host_header: str = ""

    @property
    def authority(self) -> str:
        """Host and port, IPv6 in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL, for messages."""
        return f"{self.scheme}://{self.authority}{self.target}"

    def encode(self) -> bytes:
        """Return the request as it is sent.

        Raises:
            BadRequest: A header cannot be sent.
        """
        for name, value in self.headers:
            if not _TOKEN.fullmatch(name):
                raise BadRequest(f'net/http: invalid header field name "{name}"')
            if _FORBIDDEN_IN_VALUE.search(value):
                raise BadRequest(f'net/http: invalid header field value for "{name}"')
        lines = [f"GET {self.target} HTTP/1.1", f"Host: {self.host_header or self.authority}"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        lines += ["Connection: close", "", ""]
        return "\r\n".join(lines).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerHead:
    """An answer without its body.

    Attributes:
        headers: By lower-case name; of repeated ones the first.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def is_chunked(self) -> bool:
        """Whether the body comes in chunks."""
        return self.headers.get("transfer-encoding", "").lower() == "chunked"

    @property
    def content_length(self) -> int | None:
        """Length of the body, None when only its end tells.

        Raises:
            BadAnswer: The header is no number.
        """
        if self.status < 200 or self.status in (204, 304):
            return 0
        text = self.headers.get("content-length")
        if text is None or self.is_chunked:
            return None
        if not (text.isascii() and text.isdecimal()):
            raise BadAnswer(f'bad Content-Length "{text}"')
        return int(text)


def get_request(action: Json, container: Container, *, pod_ip: str, purpose: str) -> GetRequest:
    """Make the request of an ``httpGet`` action.

    Args:
        action: ``httpGet`` as written.
        container: Whose named ports it may use.
        pod_ip: Where to, unless the action names a host.
        purpose: ``probe`` or ``lifecycle``, for the User-Agent.

    Raises:
        BadRequest: The port is unknown.
    """
    port = resolve_port(action.get("port"), container)
    headers = _headers(action.get("httpHeaders") or (), purpose=purpose)
    hosts = [value for name, value in headers if name == "Host"]
    return GetRequest(
        scheme=str(action.get("scheme") or "http").lower(),
        host=str(action.get("host") or "") or pod_ip,
        port=port,
        target=_target(str(action.get("path") or "")),
        headers=tuple(each for each in headers if each[0] != "Host"),
        host_header=hosts[0] if hosts else "",
    )


def resolve_port(port: object, container: Container) -> int:
    """Return the number of a port given as number, name, or number in quotes.

    Raises:
        BadRequest: There is none.
    """
    number: int | None = port if isinstance(port, int) else None
    if isinstance(port, str):
        named = (int(each["containerPort"]) for each in container.ports if each.get("name") == port)
        number = next(named, None)
        if number is None:
            if not re.fullmatch(r"[+-]?[0-9]+", port):
                raise BadRequest(f'strconv.Atoi: parsing "{port}": invalid syntax')
            number = int(port)
    if number is None or not 0 < number < 65536:
        raise BadRequest(f"invalid port number: {number}")
    return number


def parse_head(lines: Iterable[str]) -> AnswerHead:
    """Read an answer's status line and headers, without line ends.

    Raises:
        BadAnswer: It is no HTTP/1 answer.
    """
    iterator = iter(lines)
    first = next(iterator, "")
    match = _STATUS_LINE.fullmatch(first)
    if match is None:
        raise BadAnswer(f"{_BROKEN}: malformed HTTP response {go_quote(first)}")
    headers: dict[str, str] = {}
    for line in iterator:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadAnswer(f"{_BROKEN}: malformed MIME header line: {line}")
        headers.setdefault(name.strip().lower(), value.strip())
    return AnswerHead(status=int(match[1]), headers=headers)


def redirected(request: GetRequest, head: AnswerHead) -> GetRequest | None:
    """Return the request that a redirect asks for; None when the answer is the last one.

    A redirect to another host is not followed: that host was not asked for.

    Source: kubernetes pkg/probe/http/http.go ``RedirectChecker``; Go's http.Client.

    Raises:
        BadAnswer: The redirect leads nowhere.
    """
    location = head.headers.get("location", "")
    if head.status not in REDIRECTS or not location:
        return None
    try:
        url = urlsplit(urljoin(request.url, location))
        host, port = url.hostname or "", url.port
    except ValueError as exc:
        raise BadAnswer(f"failed to parse Location header {go_quote(location)}: {exc}") from exc
    if host != request.host.lower():
        return None
    if url.scheme not in DEFAULT_PORTS:
        raise BadAnswer(f'unsupported protocol scheme "{url.scheme}"')
    is_relative = not urlsplit(location).scheme
    referer = (
        () if request.scheme == "https" and url.scheme == "http" else (("Referer", request.url),)
    )
    kept = tuple(each for each in request.headers if each[0] != "Referer")
    return replace(
        request,
        scheme=url.scheme,
        port=port or DEFAULT_PORTS[url.scheme],
        target=_escaped(url.path) + (f"?{url.query}" if url.query else ""),
        headers=kept + referer,
        host_header=request.host_header if is_relative else "",
    )


def _headers(entries: Iterable[Json], *, purpose: str) -> list[tuple[str, str]]:
    headers = [(_canonical(str(each["name"])), str(each.get("value") or "")) for each in entries]
    names = {name for name, _ in headers}
    if "User-Agent" not in names:
        headers.append(("User-Agent", f"kube-{purpose}/{KUBELET_MINOR_VERSION}"))
    if "Accept" not in names:
        headers.append(("Accept", "*/*"))
    # An empty one of these two asks for none.
    silenced = {name for name in ("Accept", "User-Agent") if dict(reversed(headers))[name] == ""}
    return [each for each in headers if each[0] not in silenced]


def _canonical(name: str) -> str:
    """Write a header's name in HTTP's usual case; one that is no token stays as it is."""
    if not _TOKEN.fullmatch(name):
        return name
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def _target(path: str) -> str:
    """Return path and query as they are sent; what is no URL is a path as a whole."""
    first_segment = path.partition("/")[0]
    if _CONTROL.search(path) or _BAD_PERCENT.search(path.partition("?")[0]):
        return _rooted(quote(path, safe=_PATH_SAFE))
    if ":" in first_segment.partition("?")[0] and "://" not in path:
        return _rooted(quote(path, safe=_PATH_SAFE))
    url = urlsplit(path)
    return _escaped(url.path) + (f"?{url.query}".replace(" ", "%20") if url.query else "")


def _escaped(path: str) -> str:
    """Escape what a path may not hold; what is escaped already stays so."""
    is_valid = quote(unquote_to_bytes(path), safe=_PATH_SAFE + "%[]") == path
    return _rooted(path if is_valid else quote(path, safe=_PATH_SAFE + "%"))


def _rooted(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"
