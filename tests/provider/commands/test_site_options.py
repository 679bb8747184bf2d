"""Which site a command is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from provider.commands.failure import BadInput
from provider.commands.site_options import SiteTarget, site_target
from tunnel.identity import SiteName

CONFIG = """
siteName: site-a
nodeAddress: 10.0.0.1
kubeconfig: /etc/edgelet/kubeconfig
"""


def target(
    *,
    site: str | None = None,
    config: Path | None = None,
    kubeconfig: Path | None = None,
    namespace: str | None = None,
    namespace_file: Path = Path("/no/such/file"),
) -> SiteTarget:
    """Put options together, outside of a pod if not told otherwise."""
    return site_target(
        site=site,
        config=config,
        kubeconfig=kubeconfig,
        namespace=namespace,
        namespace_file=namespace_file,
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Write a provider's configuration."""
    file = tmp_path / "provider.yaml"
    file.write_text(CONFIG)
    return file


def test_a_site_alone_is_reached_from_its_pod() -> None:
    """Its namespace has its name."""
    assert target(site="site-b") == SiteTarget(
        site=SiteName("site-b"), namespace="edgelet-site-b", kubeconfig=None
    )


def test_a_configuration_says_it_all(config: Path) -> None:
    """Site, namespace, kubeconfig."""
    expected = SiteTarget(
        site=SiteName("site-a"),
        namespace="edgelet-site-a",
        kubeconfig=Path("/etc/edgelet/kubeconfig"),
    )
    assert target(config=config) == expected
    config.write_text(CONFIG + "namespace: edges\n")
    assert target(config=config).namespace == "edges"


def test_options_win_over_the_configuration(config: Path) -> None:
    """Each by itself."""
    assert target(config=config, kubeconfig=Path("/k"), namespace="n") == SiteTarget(
        site=SiteName("site-a"), namespace="n", kubeconfig=Path("/k")
    )


def test_another_site_does_not_get_the_configured_namespace(config: Path) -> None:
    """A token for one site must never be made in the other's Secrets."""
    config.write_text(CONFIG + "namespace: edges\n")
    assert target(config=config, site="site-b").namespace == "edgelet-site-b"


def test_a_pod_knows_its_site_by_its_namespace(tmp_path: Path) -> None:
    """So `kubectl exec` needs no options."""
    file = tmp_path / "namespace"
    file.write_text("edgelet-site-c\n")
    assert target(namespace_file=file).site == "site-c"
    file.write_text("default")
    with pytest.raises(BadInput, match="which site"):
        target(namespace_file=file)


def test_no_site_is_one_sentence() -> None:
    """It says what to give."""
    with pytest.raises(BadInput, match="which site\\? Give --site NAME or --config FILE"):
        target()


@pytest.mark.parametrize("site", ["A", "../kube-system", "a.b", "x" * 64])
def test_a_bad_site_name_is_refused(site: str) -> None:
    """It becomes a part of a path."""
    with pytest.raises(BadInput, match="is not a DNS label"):
        target(site=site)


def test_a_configuration_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """As for `run`."""
    with pytest.raises(BadInput, match="cannot read /no/such/file"):
        target(config=Path("/no/such/file"))
    file = tmp_path / "bad.yaml"
    file.write_text("siteName: [\n")
    with pytest.raises(BadInput, match="line 2: not YAML"):
        target(config=file)
