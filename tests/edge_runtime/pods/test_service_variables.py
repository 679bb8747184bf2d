"""What containers are told of Services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.objects.pod import Pod
from edge_runtime.pods.service_variables import compute_service_variables, service_namespaces

if TYPE_CHECKING:
    from edge_runtime.objects.container import Json


def _pod(namespace: str = "shop", **spec: object) -> Pod:
    return Pod({"metadata": {"name": "p", "namespace": namespace, "uid": "u"}, "spec": spec})


def _service(name: str, ip: str | None, *ports: Json) -> Json:
    return {"metadata": {"name": name}, "spec": {"clusterIP": ip, "ports": list(ports)}}


API = _service("kubernetes", "10.96.0.1", {"name": "https", "port": 443, "protocol": "TCP"})
API_VARIABLES = {
    "KUBERNETES_SERVICE_HOST": "10.96.0.1",
    "KUBERNETES_SERVICE_PORT": "443",
    "KUBERNETES_SERVICE_PORT_HTTPS": "443",
    "KUBERNETES_PORT": "tcp://10.96.0.1:443",
    "KUBERNETES_PORT_443_TCP": "tcp://10.96.0.1:443",
    "KUBERNETES_PORT_443_TCP_PROTO": "tcp",
    "KUBERNETES_PORT_443_TCP_PORT": "443",
    "KUBERNETES_PORT_443_TCP_ADDR": "10.96.0.1",
}


def test_every_port_of_a_service_has_its_variables() -> None:
    """The first one also the short names; a name adds one more; a family its brackets."""
    services = [
        _service(
            "web-front",
            "10.96.0.7",
            {"name": "http", "port": 80, "protocol": "TCP"},
            {"name": "dns-udp", "port": 53, "protocol": "UDP"},
        ),
        _service("six", "fd00::7", {"port": 8080}),
    ]
    assert compute_service_variables(_pod(), {"shop": services, "default": []}) == {
        "WEB_FRONT_SERVICE_HOST": "10.96.0.7",
        "WEB_FRONT_SERVICE_PORT": "80",
        "WEB_FRONT_SERVICE_PORT_HTTP": "80",
        "WEB_FRONT_SERVICE_PORT_DNS_UDP": "53",
        "WEB_FRONT_PORT": "tcp://10.96.0.7:80",
        "WEB_FRONT_PORT_80_TCP": "tcp://10.96.0.7:80",
        "WEB_FRONT_PORT_80_TCP_PROTO": "tcp",
        "WEB_FRONT_PORT_80_TCP_PORT": "80",
        "WEB_FRONT_PORT_80_TCP_ADDR": "10.96.0.7",
        "WEB_FRONT_PORT_53_UDP": "udp://10.96.0.7:53",
        "WEB_FRONT_PORT_53_UDP_PROTO": "udp",
        "WEB_FRONT_PORT_53_UDP_PORT": "53",
        "WEB_FRONT_PORT_53_UDP_ADDR": "10.96.0.7",
        "SIX_SERVICE_HOST": "fd00::7",
        "SIX_SERVICE_PORT": "8080",
        "SIX_PORT": "tcp://[fd00::7]:8080",
        "SIX_PORT_8080_TCP": "tcp://[fd00::7]:8080",
        "SIX_PORT_8080_TCP_PROTO": "tcp",
        "SIX_PORT_8080_TCP_PORT": "8080",
        "SIX_PORT_8080_TCP_ADDR": "fd00::7",
    }


@pytest.mark.parametrize("ip", ["None", "", None])
def test_a_service_without_an_address_is_not_told(ip: str | None) -> None:
    """Headless ones, and those that stand for a name elsewhere."""
    services = {"shop": [_service("web", ip, {"port": 80})], "default": []}
    assert compute_service_variables(_pod(), services) == {}


def test_the_api_is_told_whatever_the_pod_refuses() -> None:
    """Clients inside of pods find it by these variables; no other of "default" is told."""
    other = _service("other", "10.96.0.9", {"port": 80})
    services = {"shop": [other], "default": [API, other]}
    assert compute_service_variables(_pod(enableServiceLinks=False), services) == API_VARIABLES
    in_default = _pod("default", enableServiceLinks=False)
    assert compute_service_variables(in_default, services) == API_VARIABLES


def test_links_are_told_unless_the_pod_refuses() -> None:
    """Absent means true, as the API defines it."""
    services = {"shop": [_service("web", "10.96.0.7", {"port": 80})], "default": [API]}
    for spec in ({}, {"enableServiceLinks": True}, {"enableServiceLinks": None}):
        found = compute_service_variables(_pod(**spec), services)
        assert found["WEB_SERVICE_HOST"] == "10.96.0.7"
        assert API_VARIABLES.items() <= found.items()


def test_a_namespaces_own_service_named_like_the_api_hides_it() -> None:
    """As with a kubelet."""
    own = _service("kubernetes", "10.96.0.66", {"port": 443})
    found = compute_service_variables(_pod(), {"shop": [own], "default": [API]})
    assert found["KUBERNETES_SERVICE_HOST"] == "10.96.0.66"


@pytest.mark.parametrize(
    ("pod", "namespaces"),
    [
        (_pod(), ("default", "shop")),
        (_pod(enableServiceLinks=False), ("default",)),
        (_pod("default"), ("default",)),
    ],
)
def test_what_must_be_known_first(pod: Pod, namespaces: tuple[str, ...]) -> None:
    """The API's namespace always, the pod's own where it is told of it."""
    assert service_namespaces(pod) == namespaces


@given(
    st.lists(
        st.fixed_dictionaries(
            {"port": st.integers(1, 65535)},
            optional={"name": st.from_regex(r"[a-z]([-a-z0-9]*[a-z0-9])?", fullmatch=True)},
        ),
        max_size=5,
    )
)
def test_names_are_those_of_variables(ports: list[dict[str, Any]]) -> None:
    """Whatever ports there are, also none."""
    services = {"shop": [_service("a-b", "10.0.0.1", *ports)], "default": []}
    found = compute_service_variables(_pod(), services)
    assert found["A_B_SERVICE_HOST"] == "10.0.0.1"
    assert all(name.replace("_", "").isalnum() and name.isupper() for name in found)
    assert ("A_B_SERVICE_PORT" in found) == bool(ports)
