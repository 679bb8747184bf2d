"""A site as it is in life: provider, edge and operator, each a process of its own.

Around them are an API server and a container runtime in the test's process. All that a process
says is kept, and so is the command line of every process that any of them starts.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import yaml

from tests.fakes import edge_beside_cgroups
from tests.fakes.provider_files import ProviderFiles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.fakes.fake_api_server import FakeAPIServer
    from tests.fakes.fake_cri import FakeCri

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT_S = 60.0
LOOK_EVERY_S = 0.01


class LoggedProcess:
    """One process and what it has said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said = b""
        self._changed = asyncio.Condition()

    async def listen(self) -> None:
        """Keep what it says until it ends."""
        assert self.process.stdout is not None
        while data := await self.process.stdout.read(65536):
            self.said += data
            async with self._changed:
                self._changed.notify_all()

    async def says(self, text: str, *, times: int = 1) -> None:
        """Wait until it has said something so often."""
        async with asyncio.timeout(TIMEOUT_S), self._changed:
            await self._changed.wait_for(lambda: self.said.count(text.encode()) >= times)


class SiteProcesses:
    """Starts the processes of one site.

    Attributes:
        files: The provider's.
        edge_root: The rootDirectory of the first edge.
        said: What ended processes have said, by name.
        command_lines: Of every process that there was.
    """

    def __init__(self, folder: Path, *, api: FakeAPIServer, cri: FakeCri) -> None:
        self.folder = folder
        self.files = ProviderFiles(folder, api_server_url=api.url)
        self.edge_root = folder / "edge" / "root"
        self.edge_port: int = self.files.fields["edgePort"]
        self.said: dict[str, bytes] = {}
        self.command_lines: set[str] = set()
        self._endpoint = cri.endpoint
        self._temporary = folder / "tmp"
        self._temporary.mkdir()

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look at the command lines of all processes until the block is left."""
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(self._look())
            try:
                yield
            finally:
                looking.cancel()

    @contextlib.asynccontextmanager
    async def provider(self) -> AsyncIterator[LoggedProcess]:
        """Run the provider until the block is left."""
        self.files.fields["logLevel"] = "debug"
        arguments = ("-m", "provider", "run", "--config", str(self.files.write()))
        async with self._running("provider", *arguments) as process:
            yield process

    @contextlib.asynccontextmanager
    async def edge(self, machine: str = "edge") -> AsyncIterator[LoggedProcess]:
        """Run the edge of a machine until the block is left."""
        arguments = edge_beside_cgroups.arguments(
            config=self._edge_config(machine), groups=self.folder / "cgroups" / machine
        )
        async with self._running("edge", *arguments) as process:
            yield process

    async def join(self, token: str, *, machine: str = "edge") -> tuple[int, str]:
        """Join with a token from standard input; return status and what was said."""
        return await self._run(
            "join",
            *("-m", "edge_runtime", "join", "--config", str(self._edge_config(machine))),
            *("--token-file", "-"),
            standard_input=token.encode(),
        )

    async def operate(self, *arguments: str) -> tuple[int, str]:
        """Run a command of the operator; return status and its output."""
        target = ("--config", str(self.files.write()))
        return await self._run(arguments[0], "-m", "provider", *arguments, *target)

    def _edge_config(self, machine: str) -> Path:
        file = self.folder / f"{machine}.yaml"
        config = {
            "server": f"127.0.0.1:{self.edge_port}",
            "rootDirectory": str(self.folder / machine / "root"),
            "podLogsDir": str(self.folder / machine / "pods"),
            "containerLogsDir": str(self.folder / machine / "containers"),
            "containerRuntimeEndpoint": self._endpoint,
            "drainTimeout": "500ms",
            "auditLog": {"file": str(self.folder / machine / "audit.log")},
            "logging": {"format": "json", "level": "debug"},
        }
        file.write_text(yaml.safe_dump(config))
        return file

    async def _run(
        self, name: str, *arguments: str, standard_input: bytes = b""
    ) -> tuple[int, str]:
        process = await self._start(*arguments, stderr=asyncio.subprocess.PIPE)
        async with asyncio.timeout(TIMEOUT_S):
            output, errors = await process.communicate(standard_input)
        # The output of a command is its result, and is for whoever asked for it.
        self.said[name] = self.said.get(name, b"") + errors
        return process.returncode or 0, output.decode() + ("" if output else errors.decode())

    @contextlib.asynccontextmanager
    async def _running(self, name: str, *arguments: str) -> AsyncIterator[LoggedProcess]:
        logged = LoggedProcess(await self._start(*arguments, stderr=asyncio.subprocess.STDOUT))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(logged.listen())
            try:
                yield logged
            finally:
                if logged.process.returncode is None:
                    logged.process.terminate()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TIMEOUT_S):
                        await logged.process.wait()
                if logged.process.returncode is None:
                    logged.process.kill()
                self.said[name] = self.said.get(name, b"") + logged.said

    async def _start(self, *arguments: str, stderr: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self._temporary)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )

    async def _look(self) -> None:
        own = psutil.Process()
        while True:
            for process in own.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    self.command_lines.add("\0".join(process.cmdline()))
            await asyncio.sleep(LOOK_EVERY_S)
