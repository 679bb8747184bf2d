"""The command ``edgelet-provider`` as an operator runs it against a fake API server."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typer.testing import CliRunner

from provider.cli import app
from tests.fakes.provider_files import write_kubeconfig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.fake_api_server import FakeAPIServer


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    status: int
    output: str
    errors: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """The output, decoded."""
        return json.loads(self.output)


class ProviderCommand:
    """Runs commands about one site.

    Args:
        api: The cluster.
        folder: Where the kubeconfig goes.
        site: Which site the commands are about.
    """

    def __init__(self, api: FakeAPIServer, folder: Path, *, site: str = "site-a") -> None:
        self._options = ("--site", site, "--kubeconfig", str(write_kubeconfig(folder, api.url)))

    async def __call__(self, *arguments: str) -> Outcome:
        """Run a command with the options for its site, in a thread: it has a loop of its own."""
        return await asyncio.to_thread(run_command, *arguments, *self._options)


def run_command(*arguments: str) -> Outcome:
    """Run a command in this process."""
    result = CliRunner().invoke(app, list(arguments), prog_name="edgelet-provider")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Outcome(result.exit_code, result.stdout, result.stderr)
