"""A pod's resolv.conf from its DNS policy; pure.

Source: kubernetes pkg/kubelet/network/dns/dns.go ``GetPodDNS``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge_runtime.events.reasons import DNS_CONFIG_FORMING, MISSING_CLUSTER_DNS
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsWarning:
    """What of a resolv.conf is not as was asked for; reason and message of an event."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PodDns:
    """A pod's resolv.conf, and what is to be told of it."""

    config: DnsConfig
    warnings: tuple[DnsWarning, ...] = ()


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
) -> PodDns:
    """Compute a pod's resolv.conf.

    Args:
        pod: The pod.
        host: The machine's own.
        cluster_dns: Addresses of the cluster's name servers; without any, ClusterFirst falls
            back to the machine's own.
        cluster_domain: ``cluster.local``, or "" for none.
    """
    wants_cluster = _wants_cluster(pod)
    warnings = [_without_cluster_dns(pod)] if wants_cluster and not cluster_dns else []
    base = host
    if pod.dns_policy == "None":
        base = DnsConfig()
    elif wants_cluster and cluster_dns:
        searches = (*_cluster_searches(pod.namespace, cluster_domain), *host.searches)
        base = DnsConfig(servers=cluster_dns, searches=_unique(searches), options=("ndots:5",))
    merged = _merge(base, pod.dns_config) if pod.dns_config else base
    config = replace(
        merged, servers=merged.servers[:MAX_SERVERS], searches=_fitting(merged.searches)
    )
    if config.servers != merged.servers:
        warnings.append(_exceeded("Nameserver", "nameservers", "nameserver", config.servers))
    if config.searches != merged.searches:
        warnings.append(_exceeded("Search Line", "search paths", "search", config.searches))
    return PodDns(config=config, warnings=tuple(warnings))


def _wants_cluster(pod: Pod) -> bool:
    return pod.dns_policy == "ClusterFirstWithHostNet" or (
        pod.dns_policy == "ClusterFirst" and not pod.host_network
    )


def _cluster_searches(namespace: str, domain: str) -> tuple[str, ...]:
    return (f"{namespace}.svc.{domain}", f"svc.{domain}", domain) if domain else ()


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


def _fitting(searches: tuple[str, ...]) -> tuple[str, ...]:
    """Return what resolvers take; the C library may abort on longer names."""
    kept = [each for each in searches[:MAX_SEARCHES] if len(each) <= MAX_NAME_CHARACTERS]
    while len(" ".join(kept)) > MAX_SEARCH_CHARACTERS:
        kept.pop()
    return tuple(kept)


def _exceeded(what: str, things: str, line: str, applied: tuple[str, ...]) -> DnsWarning:
    message = (
        f"{what} limits were exceeded, some {things} have been omitted,"
        f" the applied {line} line is: {' '.join(applied)}"
    )
    return DnsWarning(reason=DNS_CONFIG_FORMING, message=message)


def _without_cluster_dns(pod: Pod) -> DnsWarning:
    message = (
        f'pod: "{pod.full_name}({pod.uid})". kubelet does not have ClusterDNS IP configured and'
        ' cannot create Pod using "ClusterFirst" policy. Falling back to "Default" policy.'
    )
    return DnsWarning(reason=MISSING_CLUSTER_DNS, message=message)
