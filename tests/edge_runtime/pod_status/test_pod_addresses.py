"""Addresses of pod and machine, one of each family, the primary one first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.pod_status.pod_addresses import compute_addresses
from tests.fakes.edge_pods import pod_json

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json

V4, V6 = "192.0.2.1", "2001:db8::1"


def ips(status: Json, field: str) -> list[str]:
    """The addresses of a list, checked against the single field beside it."""
    listed = [each["ip"] for each in status.get(f"{field}s", ())]
    assert status.get(field) == (listed[0] if listed else None)
    return listed


@pytest.mark.parametrize(
    ("hosts", "found", "host_ips", "pod_ips"),
    [
        ([V4], ["10.0.0.2"], [V4], ["10.0.0.2"]),
        ([V4], [], [V4], []),
        ([], ["10.0.0.2"], [], ["10.0.0.2"]),
        # One of each family only.
        ([V4, "192.0.2.2"], ["10.0.0.2", "10.0.0.3"], [V4], ["10.0.0.2"]),
        # The machine's first family comes first in the pod too.
        ([V6, V4], ["10.0.0.2", "fd00::2"], [V6, V4], ["fd00::2", "10.0.0.2"]),
        ([V4, V6], ["fd00::2", "10.0.0.2"], [V4, V6], ["10.0.0.2", "fd00::2"]),
        ([V6], ["10.0.0.2"], [V6], ["10.0.0.2"]),
        # As the API writes them, so that equal addresses are equal texts.
        (["2001:DB8:0::1"], ["FD00::0002"], [V6], ["fd00::2"]),
    ],
)
def test_addresses(
    hosts: list[str], found: list[str], host_ips: list[str], pod_ips: list[str]
) -> None:
    """Of a pod with a network of its own."""
    status = compute_addresses(Pod(pod_json()), found=found, before={}, host_ips=hosts)
    assert ips(status, "hostIP") == host_ips
    assert ips(status, "podIP") == pod_ips


def test_pod_in_the_machines_network_has_its_addresses() -> None:
    """Whatever the runtime says of the sandbox."""
    pod = Pod(pod_json(hostNetwork=True))
    status = compute_addresses(pod, found=["10.0.0.2"], before={}, host_ips=[V6, V4])
    assert ips(status, "podIP") == [V6, V4]


def test_what_was_told_is_kept_while_there_is_nothing_else() -> None:
    """A machine whose link is down has no address; a finished pod has none either."""
    before = {"hostIPs": [{"ip": V4}], "podIPs": [{"ip": "10.0.0.2"}]}
    pod = Pod(pod_json())
    status = compute_addresses(pod, found=[], before=before, host_ips=[])
    assert (ips(status, "hostIP"), ips(status, "podIP")) == ([V4], ["10.0.0.2"])
    status = compute_addresses(pod, found=["10.0.0.9"], before=before, host_ips=["192.0.2.9"])
    assert (ips(status, "hostIP"), ips(status, "podIP")) == (["192.0.2.9"], ["10.0.0.9"])
