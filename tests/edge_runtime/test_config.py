"""The configuration: every error is a sentence that names the field."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_runtime.config import EDGELET_VERSION, ConfigError, decode_config, parse_server

MINIMAL: dict[str, Any] = {"server": "cloud.example:10443"}


def test_minimal_document_has_the_kubelets_defaults() -> None:
    """The provider is that of the join where none is given."""
    config = decode_config(MINIMAL)

    assert decode_config({}).server_address is None
    assert config.server_address == ("cloud.example", 10443)
    assert config.max_pods == 110
    assert config.relist_period_s == 1.0
    assert config.cgroup_driver == "cgroupfs"
    assert config.container_runtime_endpoint == "unix:///run/containerd/containerd.sock"


def test_names_are_those_of_the_kubelet_configuration() -> None:
    """ClusterDNS keeps its capitals, lists are lists, durations are texts."""
    document = MINIMAL | {
        "clusterDNS": ["10.96.0.10"],
        "clusterDomain": "example.test",
        "nodeStatusUpdateFrequency": "1m30s",
        "logging": {"level": "debug", "format": "json"},
        "drainTimeout": "250ms",
    }

    config = decode_config(document)

    assert config.cluster_dns == ("10.96.0.10",)
    assert config.node_status_update_frequency_s == 90.0
    assert config.logging.format == "json"
    assert config.drain_timeout_s == 0.25


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sitename": "x"}, "`sitename`"),
        ({"maxPods": "110"}, "field maxPods"),
        ({"maxPods": 0}, "field maxPods"),
        ({"enableSystemLogQuery": True}, "field enableSystemLogQuery: needs enableSystemLogHand"),
        ({"systemLogsDir": "log"}, "field systemLogsDir"),
        ({"siteName": "site-a"}, "`siteName`"),
        ({"clientKeyFile": "/etc/client.key"}, "`clientKeyFile`"),
        ({"server": "cloud.example"}, "field server"),
        ({"server": "cloud.example:70000"}, "field server"),
        ({"server": "::1:10443"}, "field server"),
        ({"rootDirectory": "lib/edgelet"}, "field rootDirectory"),
        ({"rootDirectory": None}, "field rootDirectory"),
        ({"cgroupDriver": "none"}, "field cgroupDriver"),
        ({"cgroupRoot": "kubepods"}, "field cgroupRoot"),
        ({"clusterDNS": ["dns"]}, "field clusterDNS"),
        ({"clusterDNS": "10.0.0.10"}, "field clusterDNS"),
        ({"relistPeriod": "soon"}, "field relistPeriod"),
        ({"relistPeriod": "0s"}, "field relistPeriod"),
        ({"containerRuntimeEndpoint": "tcp://1.2.3.4"}, "field containerRuntimeEndpoint"),
        ({"logging": {"level": "loud"}}, "field logging.level"),
        ({"logging": {"colour": True}}, "field logging"),
    ],
)
def test_wrong_field_is_named(change: dict[str, Any], named: str) -> None:
    """One sentence, one line, with the field's name."""
    with pytest.raises(ConfigError) as refused:
        decode_config(MINIMAL | change)

    assert named in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("document", [None, [], "text", 7])
def test_document_that_is_no_mapping_is_refused(document: object) -> None:
    """An empty file decodes to None."""
    with pytest.raises(ConfigError, match="not a mapping"):
        decode_config(document)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("host:1", ("host", 1)),
        ("10.0.0.1:65535", ("10.0.0.1", 65535)),
        ("[fd00::1]:443", ("fd00::1", 443)),
    ],
)
def test_server_is_host_and_port(text: str, expected: tuple[str, int]) -> None:
    """IPv6 hosts stand in brackets, which are taken off."""
    assert parse_server(text) == expected


@given(st.text())
def test_any_text_is_a_server_or_a_value_error(text: str) -> None:
    """No other exception, whatever stands in the file."""
    try:
        host, port = parse_server(text)
    except ValueError:
        return
    assert host
    assert 0 < port < 65536


def test_version_is_the_distributions() -> None:
    """One number in two places, kept equal here."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())

    assert project["project"]["version"] == EDGELET_VERSION
