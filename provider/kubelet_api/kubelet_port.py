"""The whole kubelet port, wired: who may call is asked of the cluster, in the node's name.

KubeletServer ──> Authenticator ──> TokenReviewer ──┐
      │  │                                          ├──> API server, as the node
      │  └──────> Authorizer ───────────────────────┘
      └── KubeletTls ──> KubeletServing     the certificate (loop)
                    └──> KubeletClientCA    the CA of clients (loop)
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from provider.kubelet_api.authentication import Authenticator
from provider.kubelet_api.authorization import Authorizer
from provider.kubelet_api.server import Answered, KubeletServer, Route
from provider.kubelet_api.token_review import TokenReviewer
from provider.trust.kubelet_client_ca import KubeletClientCA
from provider.trust.kubelet_serving import KubeletServing, Report, ServingSettings
from provider.trust.kubelet_tls import KubeletTls
from provider.trust.secret_store import SecretStore
from tunnel.tracing import tracer_of

if TYPE_CHECKING:
    from datetime import datetime

    from provider.edge_link.edge_client import EdgeClient
    from provider.kube.client import KubeClient
    from tunnel.identity import SiteName


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeletPortSettings:
    """What can be configured.

    Attributes:
        site: The Node.
        address: IP address that the Node publishes.
        namespace: Where the site's Secrets are.
    """

    site: SiteName
    address: str
    namespace: str


class KubeletPort:
    """The kubelet port and what it needs.

    Attributes:
        server: The port itself.
    """

    def __init__(
        self,
        *,
        kube: KubeClient,
        edge: EdgeClient,
        settings: KubeletPortSettings,
        report: Report,
        own_routes: tuple[Route, ...] = (),
        answered: Answered,
    ) -> None:
        self._client_ca = KubeletClientCA(kube.as_self)
        self._serving = KubeletServing(
            settings=ServingSettings(site=settings.site, address=settings.address),
            as_node=kube.as_node,
            secrets=SecretStore(kube.as_self, namespace=settings.namespace),
            report=report,
        )
        tls = KubeletTls(serving=self._serving, authorities=self._client_ca)
        self.server = KubeletServer(
            edge=edge,
            authenticator=Authenticator(tokens=TokenReviewer(kube.as_node), authorities=tls),
            authorizer=Authorizer(kube.as_node, node_name=settings.site),
            context=tls.context,
            own_routes=own_routes,
            answered=answered,
            tracer=tracer_of(os.environ, service="edgelet-provider"),
        )

    def certificate_end(self) -> datetime:
        """Return when the certificate that is shown now ends, UTC."""
        return self._serving.certificate.not_after

    async def load(self) -> None:
        """Read what is there; what cannot be read is had later, by ``run``."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._client_ca.load())
            tasks.create_task(self._serving.load())

    async def run(self) -> None:
        """Follow the CA of clients and keep the certificate fresh, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._client_ca.run())
            tasks.create_task(self._serving.run())
