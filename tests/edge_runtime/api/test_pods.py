"""The two lists of pods."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import grpc

from tests.fakes.edge_api import edge_api

if TYPE_CHECKING:
    from pathlib import Path


async def test_desired_pods_come_with_their_newest_status(tmp_path: Path) -> None:
    """As a v1 PodList."""
    async with edge_api(tmp_path) as api:
        empty = await api.pair.fetch("/pods")
        await api.run_pod()
        status, body = await api.pair.fetch("/pods/")

    pod_list = json.loads(body)
    assert empty == (200, b'{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[]}')
    assert status == 200
    assert pod_list["kind"] == "PodList"
    assert [item["metadata"]["name"] for item in pod_list["items"]] == ["p"]
    assert pod_list["items"][0]["status"]["phase"] == "Running"


async def test_running_pods_are_the_runtimes(tmp_path: Path) -> None:
    """Names and images of what really runs."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        _, body = await api.pair.fetch("/runningpods/")

    (item,) = json.loads(body)["items"]
    assert item["metadata"]["uid"] == "u"
    assert [container["name"] for container in item["spec"]["containers"]] == ["c"]


async def test_runtime_that_does_not_answer_is_a_500(tmp_path: Path) -> None:
    """And not an empty list."""
    async with edge_api(tmp_path) as api:
        await api.pods.first_relist()
        api.cri.fail("ListPodSandbox", grpc.StatusCode.UNKNOWN, "broken", times=1000)
        status, _ = await api.pair.fetch("/runningpods")

    assert status == 500
