"""Folders of an NFS server, mounted by the machine's own mount(8) and its helper for NFS.

Source: kubernetes pkg/volume/nfs/nfs.go, staging/src/k8s.io/mount-utils/mount_linux.go ``doMount``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import re
import signal
from typing import TYPE_CHECKING

from edge_runtime.objects.volume import MountedVolume
from edge_runtime.volumes.mount_syscalls import read_mounts
from edge_runtime.volumes.mount_table import mount_at
from edge_runtime.volumes.persistent_source import PersistentSource, check_path
from edge_runtime.volumes.plugin import VolumeError
from edge_runtime.volumes.volume_threads import run_blocking

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.pod import Pod
    from edge_runtime.objects.volume import Volume

PROGRAM = "mount"
# Below the volume manager's own, so that the program is ended here.
TIMEOUT_S = 110.0
# How long a program that was killed may take to be gone; one that waits for a server in the kernel
# cannot be, and is left to it.
KILL_TIMEOUT_S = 5.0
_MAX_OUTPUT_BYTES = 4096
_FOLDER_MODE = 0o750
# Names and addresses; what could be taken for an option or for two words is none.
_SERVER = re.compile(r"[0-9A-Za-z_\[][0-9A-Za-z_.:%\[\]-]*", re.ASCII)


class NfsPlugin:
    """Runs mount(8); see `plugin.VolumePlugin` and `persistent_source.SourceMounter`."""

    def __init__(self, *, program: str = PROGRAM, timeout_s: float = TIMEOUT_S) -> None:
        self._program = program
        self._timeout_s = timeout_s

    @property
    def takes_mount_options(self) -> bool:
        """All that mount(8) and its helper take."""
        return True

    async def set_up(self, pod: Pod, volume: Volume, folder: Path) -> MountedVolume:
        """Mount the folder of the server, unless it is mounted; cancelling ends the attempt.

        Raises:
            VolumeError: It cannot be mounted; the text is the program's.
            OSError: The machine has no such program, or no folder can be made.
        """
        source = PersistentSource(
            volume_name=volume.name,
            fields=volume.source,
            is_read_only=bool(volume.source.get("readOnly")),
        )
        return await self.mount_source(pod, source, folder)

    async def mount_source(self, pod: Pod, source: PersistentSource, folder: Path) -> MountedVolume:
        """Do the same for a PersistentVolume; see `set_up`.

        Raises:
            VolumeError: It cannot be mounted; the text is the program's.
            OSError: The machine has no such program, or no folder can be made.
        """
        del pod
        arguments = mount_arguments(source, folder)
        if not await run_blocking(_is_mounted, folder):
            await run_blocking(folder.mkdir, mode=_FOLDER_MODE, exist_ok=True)
            await self._run(arguments)
        return MountedVolume(
            name=source.volume_name,
            host_path=str(folder),
            read_only=source.is_read_only,
            relabels=False,
        )

    async def _run(self, arguments: list[str]) -> None:
        process = await asyncio.create_subprocess_exec(
            self._program,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Its helper does the work: both MUST end, or it mounts when nobody waits any more.
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(self._timeout_s):
                output, _ = await process.communicate()
        except TimeoutError as exc:
            message = f"the server did not answer within {self._timeout_s:g} s"
            raise VolumeError(_failure(arguments, message, "")) from exc
        finally:
            if process.returncode is None:
                await _end(process)
        if process.returncode != 0:
            text = output[:_MAX_OUTPUT_BYTES].decode(errors="replace")
            raise VolumeError(_failure(arguments, f"exit status {process.returncode}", text))


def mount_arguments(source: PersistentSource, folder: Path) -> list[str]:
    """Return what mount(8) is told.

    Raises:
        VolumeError: The source names no server and folder.
    """
    server, path = str(source.fields.get("server") or ""), str(source.fields.get("path") or "")
    if not _SERVER.fullmatch(server):
        raise VolumeError(f"{server!a} is not a server's name or address", is_lasting=True)
    check_path(path, what="path")
    options = [*source.mount_options, *(["ro"] if source.is_read_only else [])]
    chosen = ["-o", ",".join(options)] if options else []
    return ["-t", "nfs", *chosen, "--", f"{_in_brackets(server)}:{path}", str(folder)]


def _in_brackets(server: str) -> str:
    try:
        return f"[{server}]" if ipaddress.ip_address(server).version == 6 else server
    except ValueError:
        return server


def _failure(arguments: list[str], why: str, output: str) -> str:
    told = " ".join(arguments)
    return (
        f"mount failed: {why}\nMounting command: {PROGRAM}\nMounting arguments: {told}\n"
        f"Output: {output}"
    )


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    try:
        async with asyncio.timeout(KILL_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        return


def _is_mounted(folder: Path) -> bool:
    # The folder itself MUST NOT be looked at: a server that is gone would never answer.
    place = os.path.join(os.path.realpath(folder.parent), folder.name)
    return mount_at(read_mounts(), place) is not None
