"""A pod's resolv.conf from its DNS policy; pure.

Source: kubernetes pkg/kubelet/network/dns/dns.go ``GetPodDNS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.objects.runtime_config import DnsConfig

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import Pod

# Source: kubernetes pkg/apis/core/validation ``MaxDNSNameservers`` and its neighbours.
MAX_SERVERS = 3
MAX_SEARCHES = 32
MAX_SEARCH_CHARACTERS = 2048
MAX_NAME_CHARACTERS = 253


def parse_resolv_conf(text: str) -> DnsConfig:
    """Read the machine's resolv.conf: nameservers add up, the last search line wins."""
    servers: list[str] = []
    searches: list[str] = []
    options: dict[str, str] = {}
    for line in text.splitlines():
        keyword, *values = line.split() or [""]
        if keyword == "nameserver" and values:
            servers.append(values[0])
        elif keyword == "search":
            searches = [each.removesuffix(".") for each in values if each != "."]
        elif keyword == "options":
            options |= {each.partition(":")[0]: each for each in values}
    return DnsConfig(
        servers=tuple(servers), searches=tuple(searches), options=tuple(options.values())
    )


def compute_dns_config(
    pod: Pod, *, host: DnsConfig, cluster_dns: tuple[str, ...], cluster_domain: str
) -> DnsConfig:
    """Compute a pod's resolv.conf.

    Args:
        pod: The pod.
        host: The machine's own.
        cluster_dns: Addresses of the cluster's name servers; without any, ClusterFirst falls
            back to the machine's own.
        cluster_domain: ``cluster.local``.
    """
    base = _base(pod, host=host, cluster_dns=cluster_dns, cluster_domain=cluster_domain)
    return _fit(_merge(base, pod.dns_config))


def _base(
    pod: Pod, *, host: DnsConfig, cluster_dns: tuple[str, ...], cluster_domain: str
) -> DnsConfig:
    if pod.dns_policy == "None":
        return DnsConfig()
    is_cluster_first = pod.dns_policy == "ClusterFirstWithHostNet" or (
        pod.dns_policy == "ClusterFirst" and not pod.host_network
    )
    if not is_cluster_first or not cluster_dns:
        return host
    searches = (
        f"{pod.namespace}.svc.{cluster_domain}",
        f"svc.{cluster_domain}",
        cluster_domain,
        *host.searches,
    )
    return DnsConfig(servers=cluster_dns, searches=searches, options=("ndots:5",))


def _merge(base: DnsConfig, own: Json) -> DnsConfig:
    options = {each.partition(":")[0]: each for each in base.options}
    for option in own.get("options") or ():
        name, value = str(option["name"]), option.get("value")
        options[name] = f"{name}:{value}" if value else name
    return DnsConfig(
        servers=_unique((*base.servers, *(own.get("nameservers") or ()))),
        searches=_unique((*base.searches, *(own.get("searches") or ()))),
        options=tuple(options.values()),
    )


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _fit(config: DnsConfig) -> DnsConfig:
    """Cut what resolvers do not take; the C library may abort on longer ones."""
    searches = [each for each in config.searches[:MAX_SEARCHES] if len(each) <= MAX_NAME_CHARACTERS]
    while len(" ".join(searches)) > MAX_SEARCH_CHARACTERS:
        searches.pop()
    return DnsConfig(
        servers=config.servers[:MAX_SERVERS], searches=tuple(searches), options=config.options
    )
