"""The command: help, version, and one sentence with exit status 2 for what cannot be used."""

from __future__ import annotations

import asyncio
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
from tests.fakes.fake_api_server import FakeAPIServer
from tests.fakes.provider_files import ProviderFiles
from tests.fakes.site_objects import put_secrets
from tests.fakes.site_pki import SitePki

if TYPE_CHECKING:
    from collections.abc import Iterator


START_TIMEOUT_S = 30.0


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


async def started(files: ProviderFiles, *, api: FakeAPIServer | None = None) -> tuple[int, str]:
    """Run the provider as a process that cannot start; return status and errors."""
    if api is not None:
        files.apply(api)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "provider", "run", "--config", str(files.write())),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            _, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, errors.decode()


def test_a_missing_kubeconfig_is_named(files: ProviderFiles) -> None:
    """In one sentence."""
    files.fields["kubeconfig"] = "/no/such/file"
    status, _, error = run("run", "--config", str(files.write()))
    assert status == 2
    assert "/no/such/file" in error
    assert error.count("\n") == 1


async def test_a_secret_that_nobody_applied_is_named(tmp_path: Path) -> None:
    """The provider may create none: they come with the manifests."""
    async with FakeAPIServer() as api:
        status, error = await started(ProviderFiles(tmp_path, api_server_url=api.url))
    assert status == 2
    assert "edgelet-site-ca" in error
    assert "manifests" in error
    assert error.count("\n") == 1


async def test_a_ca_of_another_site_is_named(tmp_path: Path) -> None:
    """A Secret that was copied; every edge would refuse the provider."""
    async with FakeAPIServer() as api:
        files = ProviderFiles(tmp_path, api_server_url=api.url)
        files.apply(api)
        put_secrets(api, SitePki(tmp_path / "other", site="site-b").secrets())
        status, error = await started(files)
    assert status == 2
    assert "ca.crt is not a CA of the site site-a" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("field", ["kubeletPort", "edgePort"])
async def test_a_port_in_use_is_named(tmp_path: Path, field: str) -> None:
    """Address, port, reason."""
    async with FakeAPIServer() as api:
        files = ProviderFiles(tmp_path, api_server_url=api.url)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            files.fields[field] = taken.getsockname()[1]
            status, error = await started(files, api=api)
    assert status == 2
    assert error.splitlines()[-1] == (
        f"edgelet-provider: cannot listen on 127.0.0.1:{files.fields[field]}: "
        "address already in use"
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
