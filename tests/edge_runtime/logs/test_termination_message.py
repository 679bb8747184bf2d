"""Last words of containers, from real files."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import pytest

from edge_runtime.logs.termination_message import (
    MAX_LOG_BYTES,
    MAX_MESSAGE_BYTES,
    TerminationMessages,
    message_path,
)
from edge_runtime.objects.pod import PodUID
from edge_runtime.objects.runtime_status import (
    TERMINATION_MESSAGE_PATH_ANNOTATION,
    TERMINATION_MESSAGE_POLICY_ANNOTATION,
    ContainerState,
    ContainerStatus,
)
from tests.fakes.runtime_values import container

if TYPE_CHECKING:
    from pathlib import Path

FILE, LOGS = "File", "FallbackToLogsOnError"


def _write_message(folder: Path, data: bytes, *, attempt: int = 0) -> Path:
    path = message_path(folder, PodUID("u"), container_name="c", attempt=attempt)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _write_log(folder: Path, *lines: str) -> str:
    path = folder / "0.log"
    path.write_text("".join(f"2026-01-01T00:00:00.1Z stdout F {line}\n" for line in lines))
    return str(path)


def _ended(
    *,
    exit_code: int = 1,
    policy: str = FILE,
    attempt: int = 0,
    log_path: str = "",
    message: str = "",
) -> ContainerStatus:
    status = container(state=ContainerState.EXITED, exit_code=exit_code, attempt=attempt)
    annotations = {
        TERMINATION_MESSAGE_PATH_ANNOTATION: "/dev/termination-log",
        TERMINATION_MESSAGE_POLICY_ANNOTATION: policy,
    }
    return dataclasses.replace(
        status,
        annotations={**status.annotations, **annotations},
        log_path=log_path,
        message=message,
    )


async def _message(folder: Path, status: ContainerStatus) -> str:
    return (await TerminationMessages(folder).added_to(status)).message


async def test_message_of_its_own_attempt(tmp_path: Path) -> None:
    """Not of the one before."""
    _write_message(tmp_path, b"first")
    _write_message(tmp_path, b"second", attempt=1)
    assert await _message(tmp_path, _ended(attempt=1)) == "second"
    assert await _message(tmp_path, _ended(attempt=2)) == ""


async def test_container_that_has_not_ended_has_none(tmp_path: Path) -> None:
    """It may still change its mind."""
    _write_message(tmp_path, b"early")
    assert await _message(tmp_path, container()) == ""


async def test_runtimes_own_message_comes_first(tmp_path: Path) -> None:
    """Joined as the kubelet does."""
    _write_message(tmp_path, b"mine")
    assert await _message(tmp_path, _ended(message="runtime's")) == "runtime's: mine"


async def test_long_message_is_cut_at_its_start(tmp_path: Path) -> None:
    """The end says what went wrong; what is no text does not break the status."""
    _write_message(tmp_path, b"x" * 100 + b"y" * MAX_MESSAGE_BYTES)
    assert await _message(tmp_path, _ended()) == "y" * MAX_MESSAGE_BYTES
    _write_message(tmp_path, b"a\xffb")
    assert await _message(tmp_path, _ended()) == "a\ufffdb"


@pytest.mark.parametrize(
    ("policy", "exit_code", "data", "expected"),
    [
        (LOGS, 1, b"", "last\n"),
        (LOGS, 1, b"file", "file"),
        (LOGS, 0, b"", ""),
        (FILE, 1, b"", ""),
    ],
)
async def test_log_stands_in_after_an_error(
    tmp_path: Path, policy: str, exit_code: int, data: bytes, expected: str
) -> None:
    """Only where the container asked for it, failed and said nothing."""
    _write_message(tmp_path, data)
    log_path = _write_log(tmp_path, "last")
    status = _ended(policy=policy, exit_code=exit_code, log_path=log_path)
    assert await _message(tmp_path, status) == expected


async def test_log_is_cut_to_eighty_lines_and_two_kilobytes(tmp_path: Path) -> None:
    """Whichever is less."""
    few = _write_log(tmp_path, *(f"{number}" for number in range(100)))
    text = await _message(tmp_path, _ended(policy=LOGS, log_path=few))
    assert text.split() == [str(number) for number in range(20, 100)]
    many = _write_log(tmp_path, *(f"{number:0100}" for number in range(100)))
    text = await _message(tmp_path, _ended(policy=LOGS, log_path=many))
    assert len(text) == MAX_LOG_BYTES
    assert text.endswith(f"{99:0100}\n")


async def test_log_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """Whoever asked for it learns why it is not there."""
    status = _ended(policy=LOGS, log_path=str(tmp_path / "missing.log"))
    text = await _message(tmp_path, status)
    assert text.startswith("Error on reading termination message from logs: failed to read")


async def test_links_are_not_followed(tmp_path: Path) -> None:
    """A message must not show another file of the machine."""
    secret = tmp_path / "secret"
    secret.write_text("secret")
    path = _write_message(tmp_path, b"")
    path.unlink()
    path.symlink_to(secret)
    text = await _message(tmp_path, _ended())
    assert text == "Error on reading termination log: Too many levels of symbolic links"
    path.unlink()
    path.parent.rmdir()
    other = tmp_path / "other"
    other.mkdir()
    (other / path.name).write_text("secret")
    path.parent.symlink_to(other)
    assert "secret" not in await _message(tmp_path, _ended())


async def test_pipe_does_not_stop_the_reader(tmp_path: Path) -> None:
    """It is no message."""
    path = _write_message(tmp_path, b"")
    path.unlink()
    os.mkfifo(path)
    assert await _message(tmp_path, _ended()) == ""
