"""A pod's and its machine's addresses as the pod's status shows them; pure.

Source: kubernetes pkg/kubelet/kubelet_pods.go ``sortPodIPs``, ``generateAPIPodStatus``.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import Pod


def compute_addresses(
    pod: Pod, *, found: Sequence[str], before: Json, host_ips: Sequence[str]
) -> Json:
    """Return ``hostIP(s)`` and ``podIP(s)``: at most one address of each family, primary first.

    Args:
        pod: The pod.
        found: What the runtime has of it.
        before: The status before: a machine whose link is down may have no address, and a pod that
            finished none either; what they had is kept.
        host_ips: The machine's own addresses, the primary one first.
    """
    hosts = _one_of_each(host_ips) or _told(before, "hostIPs")
    is_v6 = bool(hosts) and ipaddress.ip_address(hosts[0]).version == 6
    own = hosts if pod.host_network else _one_of_each(found, v6_first=is_v6)
    ips = own or _told(before, "podIPs")
    result: Json = {}
    if hosts:
        result |= {"hostIP": hosts[0], "hostIPs": [{"ip": each} for each in hosts]}
    if ips:
        result |= {"podIP": ips[0], "podIPs": [{"ip": each} for each in ips]}
    return result


def _one_of_each(ips: Iterable[str], *, v6_first: bool | None = None) -> list[str]:
    """Return the first address of each family, as their text is usually written.

    Args:
        ips: Addresses.
        v6_first: Which family comes first; None leaves it to the addresses' own order.
    """
    first: dict[int, str] = {}
    for each in ips:
        address = ipaddress.ip_address(each)
        first.setdefault(address.version, str(address))
    if v6_first is not None:
        return [first[version] for version in ((6, 4) if v6_first else (4, 6)) if version in first]
    return list(first.values())


def _told(before: Json, name: str) -> list[str]:
    return [str(each["ip"]) for each in before.get(name) or ()]
