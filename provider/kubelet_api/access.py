"""What a caller must be allowed, by method and path of the request.

A kubelet asks for the verb of the HTTP method on a subresource of its Node. Two things are stricter
here:

- What runs commands or opens connections in a container (exec, attach, portForward, run) always
  takes ``create``: a WebSocket is a GET, so that ``get nodes/proxy``, which monitoring often has,
  would be a shell in every pod.
- A path that is not spelled plainly (``//``, ``.``, ``..``, percent-encoded or control characters)
  takes ``create nodes/proxy``, too. The routes know no such path; whatever it would be taken for
  elsewhere, nobody with less gets even an answer to it.

What the provider itself answers lies below /edgelet/: its figures take what a kubelet's take, all
else, which shows the site's pods, what a kubelet's debugging handlers take.

Source: kubernetes pkg/kubelet/server/auth.go, GetRequestAttributes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_VERBS = {
    "GET": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_PROXY = ("proxy",)
_SUBRESOURCES = {
    "stats": ("stats",),
    "metrics": ("metrics",),
    "logs": ("log",),
    "checkpoint": ("checkpoint",),
    "statusz": ("statusz",),
    "flagz": ("configz",),
    "pods": ("pods", "proxy"),
    "runningpods": ("pods", "proxy"),
    "healthz": ("healthz", "proxy"),
    "configz": ("configz", "proxy"),
}
# In lower case: whoever spells one of them otherwise wants it all the same.
_INTO_CONTAINERS = frozenset({"exec", "attach", "portforward", "run"})
# The provider's own figures.
OWN_METRICS_PATH = "/edgelet/metrics"
_PLAIN = re.compile(r"/|(/[A-Za-z0-9][A-Za-z0-9._-]*)+/?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What must be allowed on the Node.

    Attributes:
        verb: "" for a method that no verb stands for.
        subresources: Any one of them will do; asked in this order.
    """

    verb: str
    subresources: tuple[str, ...]


def wanted_access(*, method: str, path: str) -> Access:
    """Return what a request must be allowed.

    Args:
        method: HTTP method.
        path: As it came over the wire, without the query.
    """
    first = path.split("/", 2)[1] if _PLAIN.fullmatch(path) else None
    if first is None or first.lower() in _INTO_CONTAINERS:
        return Access(verb="create", subresources=_PROXY)
    if path == OWN_METRICS_PATH:
        first = "metrics"
    return Access(verb=_VERBS.get(method, ""), subresources=_SUBRESOURCES.get(first, _PROXY))
