"""The configuration file: names of fields, defaults, and one sentence for each mistake."""

from __future__ import annotations

import pytest

from provider.config import Config, ConfigError, parse_config, with_node_address

MINIMAL = {
    "siteName": "site-a",
    "nodeAddress": "10.0.0.1",
    "kubeletServingCertificateFile": "/k.crt",
    "kubeletServingKeyFile": "/k.key",
    "clusterClientCAFile": "/ca.crt",
    "siteCACertificateFile": "/site.crt",
    "edgeServingCertificateFile": "/e.crt",
    "edgeServingKeyFile": "/e.key",
}


def test_a_minimal_file_gets_the_defaults() -> None:
    """Everything that has a usual value may be left out."""
    config = parse_config(MINIMAL)
    assert config == Config(
        site_name="site-a",
        node_address="10.0.0.1",
        kubelet_serving_certificate_file="/k.crt",
        kubelet_serving_key_file="/k.key",
        cluster_client_ca_file="/ca.crt",
        site_ca_certificate_file="/site.crt",
        edge_serving_certificate_file="/e.crt",
        edge_serving_key_file="/e.key",
        kubelet_port=10250,
        edge_port=10443,
        kubeconfig=None,
        api_server_client_name="kube-apiserver-kubelet-client",
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
            "apiServerClientName": "kubernetes",
            "registerWithTaints": False,
            "kubeletVersion": "v1.35.0",
            "logLevel": "debug",
        }
    )
    assert config.kubelet_listen_address == "10.0.0.1"
    assert config.edge_listen_address == "::1"
    assert not config.register_with_taints
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
        ({**MINIMAL, "edgeServingKeyFile": ""}, "edgeServingKeyFile: expected str of length >= 1"),
        (
            {**MINIMAL, "nodeAddress": "node.example"},
            "nodeAddress: 'node.example' is no IP address",
        ),
        ({**MINIMAL, "edgeListenAddress": "*"}, "edgeListenAddress: '*' is no IP address"),
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
