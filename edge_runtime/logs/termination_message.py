"""What a container said last: its termination message, or the end of its log.

Source: kubernetes pkg/kubelet/kuberuntime/kuberuntime_container.go ``getTerminationMessage``,
``readLastStringFromContainerLogs``, pkg/kubelet/container/runtime.go for the sizes.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import stat
from typing import TYPE_CHECKING

from edge_runtime.logs.cri_log import LogDecoder, LogOptions
from edge_runtime.logs.descriptor import LogReadError
from edge_runtime.logs.log_file import LogFile
from edge_runtime.objects.runtime_status import (
    TERMINATION_MESSAGE_PATH_ANNOTATION,
    TERMINATION_MESSAGE_POLICY_ANNOTATION,
    ContainerState,
)

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.pod import PodUID
    from edge_runtime.objects.runtime_status import ContainerStatus

MAX_MESSAGE_BYTES = 4096
MAX_LOG_BYTES = 2048
MAX_LOG_LINES = 80
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a pipe in the file's place would stop us before we see what it is.
_FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def message_path(pods_dir: Path, uid: PodUID, *, container_name: str, attempt: int) -> Path:
    """Return the file on the machine that a container's termination message path leads to.

    One of each attempt; a name of the container's own choice occurs nowhere in it.
    """
    return pods_dir / uid / "containers" / container_name / f"{attempt:08x}"


class TerminationMessages:
    """Reads the last words of containers that ended."""

    def __init__(self, pods_dir: Path) -> None:
        self._pods_dir = pods_dir

    async def added_to(self, status: ContainerStatus) -> ContainerStatus:
        """Return the status of a container, with its last words if it ended.

        The files are read on a thread.
        """
        if status.state is not ContainerState.EXITED:
            return status
        message = await asyncio.to_thread(self._read, status)
        if not message:
            return status
        joined = f"{status.message}: {message}" if status.message else message
        return dataclasses.replace(status, message=joined)

    def _read(self, status: ContainerStatus) -> str:
        policy = status.annotations.get(TERMINATION_MESSAGE_POLICY_ANNOTATION)
        falls_back = (
            policy == "FallbackToLogsOnError"
            and status.exit_code != 0
            # What could not even be started has no log.
            and status.reason != "ContainerCannotRun"
        )
        data = b""
        if status.annotations.get(TERMINATION_MESSAGE_PATH_ANNOTATION):
            try:
                data = self._read_file(status)
            except OSError as exc:
                return f"Error on reading termination log: {exc.strerror}"
        if not data and falls_back:
            return _end_of_log(status.log_path)
        return data.decode(errors="replace")

    def _read_file(self, status: ContainerStatus) -> bytes:
        path = message_path(
            self._pods_dir, status.pod_uid, container_name=status.name, attempt=status.attempt
        )
        try:
            fd = _open_below(self._pods_dir, path)
        except FileNotFoundError:
            return b""
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return b""
            size = os.fstat(fd).st_size
            return os.pread(fd, MAX_MESSAGE_BYTES, max(size - MAX_MESSAGE_BYTES, 0))
        finally:
            os.close(fd)


def _open_below(root: Path, path: Path) -> int:
    """Open a file below a folder without following any link on the way from there."""
    folder = os.open(root, _FOLDER_FLAGS & ~os.O_NOFOLLOW)
    try:
        *parts, name = path.relative_to(root).parts
        for part in parts:
            below = os.open(part, _FOLDER_FLAGS, dir_fd=folder)
            os.close(folder)
            folder = below
        return os.open(name, _FILE_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)


def _end_of_log(path: str) -> str:
    kept = b""
    decoder = LogDecoder(LogOptions())
    try:
        with LogFile(path) as file:
            file.seek_tail(MAX_LOG_LINES)
            while data := file.read():
                kept = (kept + decoder.receive_data(data))[-MAX_LOG_BYTES:]
            kept = (kept + decoder.finish())[-MAX_LOG_BYTES:]
    except LogReadError as exc:
        return f"Error on reading termination message from logs: {exc}"
    return kept.decode(errors="replace")
