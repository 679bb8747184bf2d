"""The machine's journal, where it has one, as journalctl prints it.

Source: kubernetes pkg/kubelet/kubelet_server_journal.go, kubelet_server_journal_linux.go.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

READ_BYTES = 64 << 10
# Of the list of all units that the journal knows.
MAX_LIST_BYTES = 4 << 20
# For one query, its reader's own slowness counted. Source: kubelet_server_journal.go ``Copy``.
DEADLINE_S = 30.0
_ENVIRONMENT = ("PATH", "SYSTEMD_COLORS")


class JournalError(Exception):
    """The journal cannot be read: there is none, or journalctl failed."""


class Journal:
    """Asks journalctl.

    Args:
        command: What is run, with what always stands before the options.
    """

    def __init__(self, command: Sequence[str] = ("journalctl",)) -> None:
        self._command = tuple(command)

    async def units(self, services: Iterable[str]) -> set[str]:
        """Return which of these services the journal knows; none where there is no journal."""
        found = b""
        try:
            async with asyncio.timeout(DEADLINE_S):
                async for piece in self.output(("--field", "_SYSTEMD_UNIT")):
                    found += piece
                    if len(found) > MAX_LIST_BYTES:
                        break
        except (JournalError, TimeoutError):
            return set()
        known = set(found.decode(errors="replace").split())
        return {each for each in services if {each, f"{each}.service"} & known}

    async def output(self, options: Sequence[str]) -> AsyncGenerator[bytes, None]:
        """Yield what journalctl prints, errors as well, in bounded pieces.

        Leaving or cancelling it ends the process.

        Raises:
            JournalError: It cannot be started.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                *options,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                start_new_session=True,
                limit=READ_BYTES,
            )
        except OSError as exc:
            raise JournalError(f"{self._command[0]}: {exc.strerror or exc}") from exc
        try:
            while process.stdout is not None and (piece := await process.stdout.read(READ_BYTES)):
                yield piece
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
