"""What the configuration means to each part that is configured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provider.config import seconds
from provider.kubelet_api.kubelet_port import KubeletPortSettings
from provider.node.node_object import NodeSettings
from provider.trust.site_trust import TrustSettings

if TYPE_CHECKING:
    from provider.config import Config


def kubelet_port_settings(config: Config) -> KubeletPortSettings:
    """Return what the kubelet port is for."""
    return KubeletPortSettings(
        site=config.site, address=config.node_address, namespace=config.site_namespace
    )


def trust_settings(config: Config) -> TrustSettings:
    """Return how long certificates live, and where the Secrets are."""
    return TrustSettings(
        namespace=config.site_namespace,
        serving_names=config.edge_serving_names,
        certificate_lifetime_s=seconds(config.edge_certificate_lifetime),
        recovery_grace_s=seconds(config.edge_certificate_recovery_grace),
        serving_lifetime_s=seconds(config.edge_serving_certificate_lifetime),
    )


def node_settings(config: Config) -> NodeSettings:
    """Return what the Node says of itself."""
    return NodeSettings(
        name=config.site,
        address=config.node_address,
        kubelet_port=config.kubelet_port,
        kubelet_version=config.kubelet_version,
        register_with_taints=config.register_with_taints,
    )
