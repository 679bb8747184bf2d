"""Run: a command to its end, its output in one answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cri_protos import api_pb2 as pb
from tests.fakes.edge_api import edge_api

if TYPE_CHECKING:
    from pathlib import Path


async def test_answer_is_stdout_then_stderr(tmp_path: Path) -> None:
    """The command is split at blanks, as the kubelet does."""

    async def execute(_: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
        return pb.ExecSyncResponse(stdout=b"out ", stderr=b"err", exit_code=0)

    async with edge_api(tmp_path) as api:
        await api.run_pod()
        api.cri.exec = execute
        answer = await api.pair.fetch("/run/ns/p/c?cmd=ls%20-la", method="POST")

    assert answer == (200, b"out err")
    assert list(api.cri.called("ExecSync")[0].cmd) == ["ls", "-la"]


async def test_command_that_fails_is_a_500_with_its_words(tmp_path: Path) -> None:
    """Source: cri-client ExecSync."""

    async def execute(_: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
        return pb.ExecSyncResponse(stdout=b"out", stderr=b"no such file", exit_code=2)

    async with edge_api(tmp_path) as api:
        await api.run_pod()
        api.cri.exec = execute
        answer = await api.pair.fetch("/run/ns/p/u/c?cmd=ls%20x", method="POST")

    assert answer == (500, b"command 'ls x' exited with 2: no such file")


async def test_wrong_method_is_refused(tmp_path: Path) -> None:
    """A GET runs nothing."""
    async with edge_api(tmp_path) as api:
        answer = await api.pair.fetch("/run/ns/p/c?cmd=ls")

    assert answer == (405, b"405: Method Not Allowed")


async def test_client_that_goes_away_ends_the_call(tmp_path: Path) -> None:
    """Nobody is left to read the answer."""
    cancelled = asyncio.Event()

    async def execute(_: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    async with edge_api(tmp_path) as api:
        await api.run_pod()
        api.cri.exec = execute
        stream = await api.pair.request("/run/ns/p/c?cmd=sleep", method="POST")
        await api.cri.reached("ExecSync", 1)
        stream.reset()
        async with asyncio.timeout(5):
            await cancelled.wait()
