"""The command: help, version, and one sentence with exit status 2 for what cannot be used."""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from provider.cli import app
from tests.fakes.provider_files import ProviderFiles
from tests.fakes.site_pki import SitePki

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _root_logger() -> Iterator[None]:
    """Give the root logger back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def files(tmp_path: Path) -> ProviderFiles:
    """Make a provider's files."""
    return ProviderFiles(tmp_path)


def run(*arguments: str) -> tuple[int, str, str]:
    """Run the command in this process; return status, output and errors."""
    result = CliRunner().invoke(app, list(arguments), prog_name="edgelet-provider")
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("version", "--help")])
def test_help_shows_examples(arguments: tuple[str, ...]) -> None:
    """Each command says what it does and how it is called."""
    status, output, _ = run(*arguments)
    assert status == 0
    assert "Usage: edgelet-provider" in output
    if arguments[0] != "--help":
        assert f"Example: edgelet-provider {arguments[0]}" in output


def test_version_prints_the_version() -> None:
    """That of the distribution."""
    pyproject = Path(__file__).resolve().parents[2] / "pyproject.toml"
    version = tomllib.loads(pyproject.read_text())["project"]["version"]
    assert run("version") == (0, f"{version}\n", "")


def test_help_imports_neither_kubernetes_nor_http() -> None:
    """--help is there at once."""
    code = (
        "import sys\nfrom provider.cli import app\n"
        "slow = {'aiohttp', 'kubernetes_asyncio', 'h2', 'cryptography', 'yaml', 'rich'}\n"
        "sys.exit(' '.join(slow & set(sys.modules)) or 0)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_a_missing_configuration_is_named() -> None:
    """The file and the reason."""
    assert run("run", "--config", "/no/such") == (
        2,
        "",
        "edgelet-provider: cannot read /no/such: No such file or directory\n",
    )


def test_what_is_no_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    """The place of the mistake."""
    file = tmp_path / "bad.yaml"
    file.write_text("siteName: a\n  b: [\n")
    status, _, error = run("run", "--config", str(file))
    assert (status, error) == (2, f"edgelet-provider: {file}, line 2: not YAML\n")


def test_an_unknown_field_is_named(files: ProviderFiles) -> None:
    """File and field."""
    files.fields["edgePrt"] = 1
    file = files.write()
    status, _, error = run("run", "--config", str(file))
    assert (status, error) == (
        2,
        f"edgelet-provider: {file}: contains unknown field edgePrt\n",
    )


@pytest.mark.parametrize(
    "field",
    [
        "kubeletServingCertificateFile",
        "kubeletServingKeyFile",
        "clusterClientCAFile",
        "siteCACertificateFile",
        "edgeServingCertificateFile",
        "edgeServingKeyFile",
        "kubeconfig",
    ],
)
def test_a_missing_file_is_named(files: ProviderFiles, field: str) -> None:
    """Whichever file it is."""
    files.fields[field] = "/no/such/file"
    status, _, error = run("run", "--config", str(files.write()))
    assert status == 2
    assert "/no/such/file" in error
    assert error.count("\n") == 1


def test_a_certificate_of_another_ca_is_named(files: ProviderFiles, tmp_path: Path) -> None:
    """Told at the start, since every edge would refuse it."""
    other = SitePki(tmp_path / "other", site="site-a")
    files.fields["siteCACertificateFile"] = str(other.ca_file)
    status, _, error = run("run", "--config", str(files.write()))
    assert status == 2
    assert error == (
        f"edgelet-provider: the certificate in {files.site.server_certificate_file} "
        f"does not come from the CA in {other.ca_file}\n"
    )


def test_a_certificate_of_another_site_is_named(files: ProviderFiles) -> None:
    """The name is part of the check."""
    files.fields["siteName"] = "site-b"
    status, _, error = run("run", "--config", str(files.write()))
    assert status == 2
    assert "does not carry the name provider.site-b.edgelet.internal" in error


@pytest.mark.parametrize("field", ["kubeletPort", "edgePort"])
def test_a_port_in_use_is_named(files: ProviderFiles, field: str) -> None:
    """Address, port, reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        files.fields[field] = taken.getsockname()[1]
        status, _, error = run("run", "--config", str(files.write()))
    assert status == 2
    assert error == (
        f"edgelet-provider: cannot listen on 127.0.0.1:{files.fields[field]}: "
        "address already in use\n"
    )


def test_outside_of_a_cluster_a_kubeconfig_is_needed(
    files: ProviderFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says what is missing."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    del files.fields["kubeconfig"]
    status, _, error = run("run", "--config", str(files.write()))
    assert status == 2
    assert "no kubeconfig is given and this is no pod" in error
