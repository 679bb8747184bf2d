"""``/stats/summary`` through the tunnel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import grpc
import pytest

from tests.fakes.edge_api import edge_api

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_summary_tells_of_node_and_pods(tmp_path: Path, method: str) -> None:
    """By both methods, as a kubelet."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        status, body = await api.pair.fetch("/stats/summary", method=method)
    summary = json.loads(body)
    assert status == 200
    assert summary["node"]["cpu"]["usageCoreNanoSeconds"] > 0
    assert summary["node"]["fs"]["capacityBytes"] > 0
    assert summary["node"]["rlimit"]["curproc"] > 0
    assert [each["podRef"]["name"] for each in summary["pods"]] == ["p"]
    assert [each["name"] for each in summary["pods"][0]["containers"]] == ["c"]


async def test_only_processors_and_memory_when_no_more_is_wanted(tmp_path: Path) -> None:
    """Then nobody asks the runtime."""
    async with edge_api(tmp_path) as api:
        await api.pods.first_relist()
        api.cri.fail("ImageFsInfo", grpc.StatusCode.UNKNOWN, "broken", times=1000)
        status, body = await api.pair.fetch("/stats/summary?only_cpu_and_memory=true")
    assert status == 200
    node = json.loads(body)["node"]
    assert "memory" in node
    assert "fs" not in node
    assert "network" not in node


async def test_a_runtime_that_does_not_tell_is_a_500(tmp_path: Path) -> None:
    """With its words, as a kubelet writes them."""
    async with edge_api(tmp_path) as api:
        await api.pods.first_relist()
        api.cri.fail("ImageFsInfo", grpc.StatusCode.UNKNOWN, "broken", times=1000)
        status, body = await api.pair.fetch("/stats/summary")
    assert status == 500
    assert body.startswith(b"Internal Error: the runtime does not tell of its filesystems: ")
    assert b"broken" in body
