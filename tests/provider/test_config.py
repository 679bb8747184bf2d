"""The configuration file: names of fields, defaults, and one sentence for each mistake."""

from __future__ import annotations

import pytest

from provider.config import Config, ConfigError, parse_config, seconds, with_node_address

MINIMAL = {
    "siteName": "site-a",
    "nodeAddress": "10.0.0.1",
}


def test_a_minimal_file_gets_the_defaults() -> None:
    """Everything that has a usual value may be left out."""
    config = parse_config(MINIMAL)
    assert config == Config(
        site_name="site-a",
        node_address="10.0.0.1",
        kubelet_port=10250,
        edge_port=10443,
        kubeconfig=None,
        register_with_taints=True,
        kubelet_version="v1.36.3",
    )
    assert config.site == "site-a"


def test_every_field_can_be_set() -> None:
    """The names in the file are those of the documentation."""
    config = parse_config(
        {
            **MINIMAL,
            "kubeletPort": 11250,
            "kubeletListenAddress": "10.0.0.1",
            "edgePort": 11443,
            "edgeListenAddress": "::1",
            "kubeconfig": "/kubeconfig",
            "namespace": "edge-sites",
            "edgeServingNames": ["edge.example.org", "192.0.2.7", "2001:db8::7"],
            "edgeCertificateLifetime": "240h",
            "edgeCertificateRecoveryGrace": "24h",
            "edgeServingCertificateLifetime": "90m",
            "patchTolerations": True,
            "registerWithTaints": False,
            "kubeletVersion": "v1.35.0",
            "logLevel": "debug",
        }
    )
    assert config.kubelet_listen_address == "10.0.0.1"
    assert config.edge_listen_address == "::1"
    assert not config.register_with_taints
    assert config.patch_tolerations
    assert config.site_namespace == "edge-sites"
    assert config.edge_serving_names == ("edge.example.org", "192.0.2.7", "2001:db8::7")
    assert config.edge_certificate_recovery_grace == "24h"
    assert config.log_level == "debug"


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (None, "the configuration must be a mapping of fields"),
        ([], "the configuration must be a mapping of fields"),
        ({}, "missing required field siteName"),
        ({**MINIMAL, "sitename": "x"}, "contains unknown field sitename"),
        ({**MINIMAL, "kubeletPort": "10250"}, "kubeletPort: expected int, got str"),
        ({**MINIMAL, "edgePort": 0}, "edgePort: expected int >= 1"),
        ({**MINIMAL, "edgePort": 65536}, "edgePort: expected int <= 65535"),
        ({**MINIMAL, "registerWithTaints": "yes"}, "registerWithTaints: expected bool, got str"),
        ({**MINIMAL, "logLevel": "loud"}, "logLevel: invalid enum value 'loud'"),
        ({**MINIMAL, "kubeconfig": ""}, "kubeconfig: expected str of length >= 1"),
        (
            {**MINIMAL, "nodeAddress": "node.example"},
            "nodeAddress: 'node.example' is no IP address",
        ),
        ({**MINIMAL, "edgeListenAddress": "*"}, "edgeListenAddress: '*' is no IP address"),
        (
            {**MINIMAL, "edgeServingNames": ["10.0.0.1", "*.example.org"]},
            "edgeServingNames: '*.example.org' is neither a DNS name nor an IP address",
        ),
        (
            {**MINIMAL, "edgeCertificateLifetime": "30d"},
            "edgeCertificateLifetime: expected str matching regex '^[1-9][0-9]{0,4}[smh]$'",
        ),
        (
            {**MINIMAL, "namespace": "Edge"},
            "namespace: expected str matching regex '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$'",
        ),
        (
            {**MINIMAL, "siteName": "Site_A"},
            "siteName: site name 'Site_A' is not a DNS label "
            "(a-z, 0-9 and '-', at most 63 characters)",
        ),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_field(document: object, sentence: str) -> None:
    """Whoever wrote the file finds the place."""
    with pytest.raises(ConfigError) as caught:
        parse_config(document)
    assert str(caught.value) == sentence


def test_the_command_line_has_the_last_word_on_the_address() -> None:
    """A pod knows its own address; a file for many pods cannot."""
    config = parse_config({**MINIMAL, "healthPort": 10248})
    assert with_node_address(config, None).node_address == "10.0.0.1"
    assert with_node_address(config, "10.9.9.9").node_address == "10.9.9.9"
    with pytest.raises(ConfigError, match="nodeAddress: 'nowhere' is no IP address"):
        with_node_address(config, "nowhere")


def test_without_any_address_it_cannot_run() -> None:
    """The other commands read the same file and need none."""
    config = parse_config({name: value for name, value in MINIMAL.items() if name != "nodeAddress"})
    with pytest.raises(ConfigError, match="--node-address"):
        with_node_address(config, None)


def test_the_namespace_is_the_sites_own() -> None:
    """As in the manifests."""
    assert parse_config(MINIMAL).site_namespace == "edgelet-site-a"


@pytest.mark.parametrize(
    ("text", "expected"), [("120s", 120.0), ("2m", 120.0), ("720h", 30 * 86400.0)]
)
def test_durations_are_seconds(text: str, expected: float) -> None:
    """Whatever their unit."""
    assert seconds(text) == expected


@pytest.mark.parametrize("name", ["", "a..b", ".a", "a.", "-a", "a b", "a" * 64, "A.b", "a/b"])
def test_what_is_no_name_is_not_put_into_a_certificate(name: str) -> None:
    """The CA signs what stands here."""
    with pytest.raises(ConfigError, match=r"^edgeServingNames"):
        parse_config({**MINIMAL, "edgeServingNames": [name]})
