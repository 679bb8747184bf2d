"""All objects of one provider, put together; nothing runs and nothing is asked yet."""

from __future__ import annotations

import secrets
import socket
import time
from typing import TYPE_CHECKING

from provider.config import EDGELET_VERSION, seconds
from provider.edge_link.edge_client import EdgeClient
from provider.edge_link.listener import EdgeListener
from provider.edge_link.site_session import SiteSession
from provider.edge_link.writer_lease import WriterLease
from provider.kube.event_writer import EventWriter
from provider.kube.timestamps import utc_now
from provider.kubelet_api.kubelet_port import KubeletPort
from provider.node.node_controller import NodeController
from provider.node.node_lease import NodeLease
from provider.own_routes import own_routes
from provider.pods.pod_controller import PodController
from provider.pods.pod_dependencies import PodDependencies
from provider.pods.status_writer import StatusWriter
from provider.pods.sync_stream import SyncOutbox
from provider.pods.toleration_patch import TolerationPatch
from provider.serving.health_port import HealthPort
from provider.settings import kubelet_port_settings, node_settings, trust_settings
from provider.status_page.pod_usage import PodUsage
from provider.status_page.status_page import PageSources, StatusPage
from provider.telemetry.site_figures import SiteSources
from provider.trust.site_trust import SiteTrust
from tunnel.session import Limits
from tunnel.sync import EventAck

if TYPE_CHECKING:
    from datetime import datetime

    from provider.config import Config
    from provider.kube.client import KubeClient
    from provider.telemetry.metrics import ProviderMetrics


class SiteParts:
    """The parts of a provider, which app.py loads, runs and ends.

    Attributes:
        edge: Calls to the edge, and whether it is there.
        session: The tunnel's session, also between connections.
        edge_listener: The edge port.
        kubelet_port: The kubelet port.
        health: The probes of the kubelet that runs us.
        page: How the site does, for whoever looks.
        metrics: What is counted.
        trust: Who may join, renew and have the tunnel.
        writer: Whether this provider is the one that serves the site.
        node: The Node.
        lease: Its Lease.
        pods: Pods down, what the edge says up.
        dependencies: What pods need beside themselves.
        status_writer: Statuses and deletions to the API.
        events: Events to the API.
        tolerations: Where no admission policy sees to them, else None.
    """

    def __init__(self, config: Config, kube: KubeClient, metrics: ProviderMetrics) -> None:
        """Build them all.

        Args:
            config: What to serve.
            kube: Calls to the API server.
            metrics: What is counted; told of the site, too.
        """
        self.edge = EdgeClient(site=config.site)
        self.metrics = metrics
        self._wire_controllers(config, kube)
        self._wire_ports(config, kube)
        metrics.watch_site(self._site_sources())

    def why_not_ready(self) -> str:
        """Return why another provider serves the site, "" where this one does."""
        return "" if self.writer.is_held else "this provider does not hold the site's Lease"

    def _wire_controllers(self, config: Config, kube: KubeClient) -> None:
        site = config.site
        self._outbox = outbox = SyncOutbox()
        self.events = EventWriter(
            kube.as_node, node_name=site, acknowledge=lambda key: outbox.put(EventAck(id=key))
        )
        self.status_writer = StatusWriter(kube.as_node, send=outbox.put)
        self.node = NodeController(
            as_node=kube.as_node,
            as_self=kube.as_self,
            link=self.edge,
            settings=node_settings(config),
            events=self.events,
            publish=lambda message: self.pods.put_node(message),
        )
        self.lease = NodeLease(kube.as_node, self.edge, node_name=site, node_uid=self.node.node_uid)
        self.tolerations = TolerationPatch(kube.as_self) if config.patch_tolerations else None
        self.dependencies = PodDependencies(kube.node_objects, send=outbox.put)
        self.pods = PodController(
            api=kube.as_node,
            edge=self.edge,
            node_name=site,
            outbox=outbox,
            status_writer=self.status_writer,
            dependencies=self.dependencies,
            on_node_report=self.node.report,
            on_event=self.events.report,
            tolerations=self.tolerations,
            traffic=self.metrics.sync,
        )
        self.writer = WriterLease(
            kube.as_self,
            namespace=config.site_namespace,
            identity=f"{socket.gethostname()}_{secrets.token_hex(4)}",
        )

    def _wire_ports(self, config: Config, kube: KubeClient) -> None:
        self.health = HealthPort(why_not_ready=self.why_not_ready)
        self.session = SiteSession(
            edge_client=self.edge,
            report=self.report,
            limits=Limits(resume_timeout_s=seconds(config.session_resume_timeout)),
            metrics=self.metrics.tunnel,
        )
        self.trust = SiteTrust(
            api=kube.as_self,
            site=config.site,
            settings=trust_settings(config),
            report=self.report,
            now=utc_now,
        )
        self.edge_listener = EdgeListener(
            site=config.site,
            site_session=self.session,
            trust=self.trust,
            monotonic=time.monotonic,
            refused=self.metrics.edge_refused,
        )
        self.page = self._status_page(config)
        self.kubelet_port = KubeletPort(
            kube=kube,
            edge=self.edge,
            settings=kubelet_port_settings(config),
            report=self.report,
            own_routes=own_routes(page=self.page, registry=self.metrics.registry),
            answered=self.metrics.kubelet_answered,
        )

    def _status_page(self, config: Config) -> StatusPage:
        sources = PageSources(
            round_trip_s=lambda: self.session.round_trip_s,
            pods=self.pods.pods,
            events=self.events.recent,
            certificates=self._certificate_ends,
        )
        return StatusPage(
            site=config.site,
            version=EDGELET_VERSION,
            link=self.edge,
            usage=PodUsage(self.edge),
            sources=sources,
            now=utc_now,
        )

    def _site_sources(self) -> SiteSources:
        return SiteSources(
            is_writer=lambda: self.writer.is_held,
            lease_renewed_at=lambda: self.lease.renewed_at,
            certificate_ends=self._certificate_ends,
            statuses_pending=self.status_writer.pending,
            events_pending=self.events.pending,
            messages_pending=self._outbox.pending,
        )

    def _certificate_ends(self) -> tuple[tuple[str, datetime | None], ...]:
        own = ("Kubelet port", self.kubelet_port.certificate_end())
        return (*self.trust.certificate_ends(), own)

    def report(self, *, reason: str, message: str) -> None:
        """Record a Warning event about the Node."""
        self.events.record_node("Warning", reason, message)
