"""One request for a serving certificate: made as the node, and followed until it is decided.

Source: client-go util/certificate/csr (RequestCertificate, WaitForCertificate); kubernetes
    pkg/kubelet/certificate/kubelet.go (usages of a key that is not RSA).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import TYPE_CHECKING, Final

from provider.kube.client import resource_path
from provider.kube.errors import AlreadyExists
from provider.kube.watch import Added, Deleted, Listed, Modified, list_and_watch
from provider.trust.kubelet_certificate import certificate_request, request_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from provider.kube.client import Json, KubeApi
    from tunnel.identity import SiteName

SIGNER: Final = "kubernetes.io/kubelet-serving"
REQUESTS_PATH: Final = resource_path("certificatesigningrequests", group="certificates.k8s.io")
# An approver that is a program has answered by then; after that somebody is told.
REPORT_PENDING_AFTER_S: Final = 30.0


class RequestRefused(Exception):
    """The request was denied, failed, or led to a certificate that is of no use."""


class RequestGone(Exception):
    """The request was deleted before it was decided."""


class ServingRequest:
    """A request for one key and one address.

    Attributes:
        name: Made from both, so that a request that was made before is found again.
    """

    def __init__(self, *, site: SiteName, address: str, key_pem: bytes) -> None:
        self.name = request_name(site=site, address=address, key_pem=key_pem)
        self._pem = certificate_request(site=site, address=address, key_pem=key_pem)

    async def certificate(self, api: KubeApi, *, on_pending: Callable[[str], None]) -> bytes:
        """Return the issued chain, PEM, unchecked; waits for it however long it takes.

        Args:
            api: The node's identity.
            on_pending: Told the name when nobody has decided for REPORT_PENDING_AFTER_S.

        Raises:
            KubeError: The request could not be made.
            RequestRefused: It was denied or failed.
            RequestGone: It was deleted undecided.
        """
        # It was made before this process began, or the answer was lost.
        with contextlib.suppress(AlreadyExists):
            await api.create(REQUESTS_PATH, self._body())
        loop = asyncio.get_running_loop()
        reminder = loop.call_later(REPORT_PENDING_AFTER_S, on_pending, self.name)
        try:
            return await self._wait(api)
        finally:
            reminder.cancel()

    def _body(self) -> Json:
        return {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": self.name},
            "spec": {
                "request": base64.b64encode(self._pem).decode(),
                "signerName": SIGNER,
                "usages": ["digital signature", "server auth"],
            },
        }

    async def _wait(self, api: KubeApi) -> bytes:
        query = {"fieldSelector": f"metadata.name={self.name}"}
        async with contextlib.aclosing(list_and_watch(api, REQUESTS_PATH, query=query)) as events:
            async for event in events:
                match event:
                    case Listed(items=[]) | Deleted():
                        raise RequestGone(f"request {self.name} was deleted undecided")
                    case (
                        Listed(items=[request, *_])
                        | Added(object=request)
                        | Modified(object=request)
                    ):
                        if chain_pem := _issued(request):
                            return chain_pem
                    case _:
                        pass
        raise AssertionError("a watch has no end")


def _issued(request: Json) -> bytes | None:
    """Return a request's certificate, None while it waits.

    Raises:
        RequestRefused: It was denied, failed, or the certificate cannot be read.
    """
    status = request.get("status") or {}
    for condition in status.get("conditions") or ():
        if condition.get("type") in {"Denied", "Failed"}:
            raise RequestRefused(
                f"certificate signing request {request['metadata']['name']}: {condition['type']}, "
                f"{condition.get('reason', '')}: {condition.get('message', '')}"
            )
    encoded = status.get("certificate")
    if not encoded:
        return None
    try:
        return base64.b64decode(encoded, validate=True)
    except ValueError as exc:
        raise RequestRefused("the cluster's certificate is no base64") from exc
