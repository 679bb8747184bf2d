"""Contents of a pod's /etc/hosts; pure.

Source: kubernetes pkg/kubelet/kubelet_pods.go ``managedHostsFileContent``,
``nodeHostsFileContent``, ``hostsEntriesFromHostAliases``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge_runtime.objects.container import Json
    from edge_runtime.pod_network.pod_hostname import PodHostname

_LOCAL = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::0\tip6-localnet\n"
    "fe00::0\tip6-mcastprefix\n"
    "fe00::1\tip6-allnodes\n"
    "fe00::2\tip6-allrouters\n"
)


def managed_hosts_file(ips: Sequence[str], hostname: PodHostname, aliases: Sequence[Json]) -> str:
    """Return the file of a pod with a network of its own.

    Args:
        ips: The pod's addresses.
        hostname: What they are called.
        aliases: ``spec.hostAliases``.
    """
    names = f"{hostname.full_name}\t{hostname.name}" if hostname.domain else hostname.name
    own = "".join(f"{ip}\t{names}\n" for ip in ips)
    return f"# Kubernetes-managed hosts file.\n{_LOCAL}{own}{_alias_lines(aliases)}"


def host_network_hosts_file(machines: str, aliases: Sequence[Json]) -> str:
    """Return the file of a pod with the machine's network.

    Args:
        machines: The machine's own file.
        aliases: ``spec.hostAliases``.
    """
    return f"# Kubernetes-managed hosts file (host network).\n{machines}{_alias_lines(aliases)}"


def _alias_lines(aliases: Sequence[Json]) -> str:
    if not aliases:
        return ""
    lines = [f"{each['ip']}\t{chr(9).join(each.get('hostnames') or ())}\n" for each in aliases]
    return "\n# Entries added by HostAliases.\n" + "".join(lines)
