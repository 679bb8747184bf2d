"""What a pod calls itself."""

from __future__ import annotations

from typing import Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.pod_network.pod_hostname import (
    HostnameError,
    PodHostname,
    kernel_hostname,
    pod_hostname,
)


def _pod(name: str = "web", **spec: Any) -> Pod:  # noqa: ANN401  # API JSON
    return Pod({"metadata": {"name": name, "namespace": "shop", "uid": "u"}, "spec": spec})


@pytest.mark.parametrize(
    ("pod", "name", "domain"),
    [
        (_pod(), "web", ""),
        (_pod(hostname="h"), "h", ""),
        (_pod(hostname="h", subdomain="s"), "h", "s.shop.svc.cluster.local"),
        (_pod(subdomain="s"), "web", "s.shop.svc.cluster.local"),
        (_pod(hostnameOverride="a.b", subdomain="s"), "a.b", ""),
        (_pod("x" * 62 + "-tail"), "x" * 62, ""),
        (_pod("x" * 70), "x" * 63, ""),
    ],
)
def test_name_and_domain(pod: Pod, name: str, domain: str) -> None:
    """As the kubelet chooses them."""
    assert pod_hostname(pod, "cluster.local") == PodHostname(name=name, domain=domain)


@pytest.mark.parametrize(
    ("pod", "name"),
    [
        (_pod(subdomain="s"), "web"),
        (_pod(subdomain="s", setHostnameAsFQDN=True), "web.s.shop.svc.cluster.local"),
        (_pod(setHostnameAsFQDN=True), "web"),
        (_pod(hostNetwork=True, subdomain="s", setHostnameAsFQDN=True), ""),
    ],
)
def test_what_the_kernel_is_told(pod: Pod, name: str) -> None:
    """The whole name only where the pod asks for it; the machine keeps its own."""
    assert kernel_hostname(pod, "cluster.local") == name


def test_name_that_the_kernel_does_not_take_is_refused() -> None:
    """In the kubelet's words, or the pod would run under another name."""
    pod = _pod("x" * 40, subdomain="s", setHostnameAsFQDN=True)
    with pytest.raises(HostnameError) as caught:
        kernel_hostname(pod, "cluster.local")
    assert str(caught.value) == (
        "failed to construct FQDN from pod hostname and cluster domain, FQDN "
        f"{'x' * 40}.s.shop.svc.cluster.local is too long"
        " (64 characters is the max, 65 characters requested)"
    )
