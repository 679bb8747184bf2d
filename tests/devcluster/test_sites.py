"""Configuration of providers and edges."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest
import yaml

from devcluster import sites
from devcluster.layout import ClusterLayout, SiteLayout
from edge_runtime.config import EdgeConfig
from provider.config import Config as ProviderConfig
from tunnel.identity import SiteName

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> SiteLayout:
    """A site with its configuration files written."""
    cluster = ClusterLayout(root=tmp_path, network="10.98.0")
    layout = cluster.site(SiteName("site-b"), index=2)
    sites.write_configs(layout)
    return layout


def test_edge_keeps_to_the_sites_own_paths(site: SiteLayout) -> None:
    """Two edges on one machine share no folder, socket or cgroup."""
    config = yaml.safe_load(sites.edge_file(site).read_text())
    # It dials what it joined, and the folder of its identity is its own, too.
    assert "server" not in config
    assert sites.identity_folder(site).parent == site.root / "edgelet"
    assert config["cgroupRoot"] == site.cgroup_root
    for key in ("rootDirectory", "podLogsDir", "containerLogsDir"):
        assert config[key].startswith(f"{site.root}/")
        assert os.path.isdir(config[key])


def test_provider_has_an_address_of_its_own(site: SiteLayout) -> None:
    """What it publishes is what it listens on."""
    config = yaml.safe_load(sites.provider_file(site).read_text())
    assert config["nodeAddress"] == config["kubeletListenAddress"] == "10.98.0.12"
    assert config["healthListenAddress"] == config["edgeListenAddress"] == "10.98.0.12"


def test_both_ends_take_their_files(site: SiteLayout) -> None:
    """No field is unknown to the program that reads it, and none is missing."""
    provider = yaml.safe_load(sites.provider_file(site).read_text())
    assert msgspec.convert(provider, ProviderConfig).site_name == "site-b"
    edge = yaml.safe_load(sites.edge_file(site).read_text())
    assert msgspec.convert(edge, EdgeConfig).root_directory == str(site.root / "edgelet")


def test_overlay_names_the_site_and_finds_the_component(site: SiteLayout) -> None:
    """The path to the manifests is relative, and right."""
    overlay = sites.overlay(site)
    [component] = overlay["components"]
    assert not component.startswith("/")
    assert (sites.overlay_folder(site) / component).resolve() == sites.MANIFESTS / "site"
    assert overlay["configMapGenerator"][0]["literals"] == ["site=site-b"]
    # A pod would wait for the writer Lease for ever.
    assert overlay["replicas"] == [{"name": "edgelet-provider", "count": 0}]


def test_parts_run_in_their_namespaces(site: SiteLayout) -> None:
    """The provider in the cloud, the edge behind NAT."""
    assert f"--net=/run/netns/{site.cluster.cloud_netns}" in sites.provider_command(site)
    assert f"--net=/run/netns/{site.edge_netns}" in sites.edge_command(site)
    join = sites.edge_command(site, "join", "--token-file", "-")
    assert join[-6:] == ["edge_runtime", "join", "--token-file", "-", "--config", join[-1]]
