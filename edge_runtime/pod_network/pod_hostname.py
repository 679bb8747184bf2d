"""What a pod calls itself; pure.

Source: kubernetes pkg/kubelet/kubelet_pods.go ``GeneratePodHostNameAndDomain``, pkg/kubelet/util
``GetNodenameForKernel``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_runtime.objects.pod import Pod

# What the kernel takes as a node name.
MAX_KERNEL_CHARACTERS = 64


class HostnameError(Exception):
    """The pod cannot be called what it asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodHostname:
    """A pod's host name, and the domain it is in; "" for none."""

    name: str
    domain: str = ""

    @property
    def full_name(self) -> str:
        """Name and domain."""
        return f"{self.name}.{self.domain}" if self.domain else self.name


def pod_hostname(pod: Pod, cluster_domain: str) -> PodHostname:
    """Return a pod's host name as its /etc/hosts has it.

    Args:
        pod: The pod.
        cluster_domain: ``cluster.local``.
    """
    subdomain = "" if pod.spec.get("hostnameOverride") else str(pod.spec.get("subdomain") or "")
    domain = f"{subdomain}.{pod.namespace}.svc.{cluster_domain}" if subdomain else ""
    return PodHostname(name=pod.hostname, domain=domain)


def kernel_hostname(pod: Pod, cluster_domain: str) -> str:
    """Return what the kernel is told; "" with the machine's network.

    Raises:
        HostnameError: ``setHostnameAsFQDN`` asks for a name that is too long for it.
    """
    if pod.host_network:
        return ""
    hostname = pod_hostname(pod, cluster_domain)
    if not (hostname.domain and pod.spec.get("setHostnameAsFQDN")):
        return hostname.name
    length = len(hostname.full_name)
    if length > MAX_KERNEL_CHARACTERS:
        raise HostnameError(
            "failed to construct FQDN from pod hostname and cluster domain,"
            f" FQDN {hostname.full_name} is too long"
            f" ({MAX_KERNEL_CHARACTERS} characters is the max, {length} characters requested)"
        )
    return hostname.full_name
