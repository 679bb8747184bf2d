"""Who calls the kubelet port: the subject of a verified client certificate.

Source: kubernetes pkg/kubelet/server/server.go InstallAuthFilter; apiserver
    authentication/request/x509 (CommonNameUserConversion).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from provider.serving.tls import subject_of

if TYPE_CHECKING:
    from aiohttp import web


class Unauthenticated(Exception):
    """Nobody whom we know."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Who calls, in Kubernetes' terms."""

    name: str
    groups: tuple[str, ...]


def authenticate(request: web.BaseRequest) -> User:
    """Return who calls.

    TLS has verified the certificate against the cluster's client CA, or there is none.

    Raises:
        Unauthenticated: No certificate, or one without exactly one common name.
    """
    certificate: dict[str, Any] | None = None
    if request.transport is not None:
        certificate = request.transport.get_extra_info("peercert")
    if not certificate:
        raise Unauthenticated
    subject = subject_of(certificate)
    names = subject.get("commonName", ())
    if len(names) != 1 or not names[0]:
        raise Unauthenticated
    groups = (*subject.get("organizationName", ()), "system:authenticated")
    return User(name=names[0], groups=groups)
