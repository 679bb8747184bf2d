"""Logs, from the query to the file and back."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.api.container_logs import find_logged_container
from edge_runtime.api.request import ApiError
from edge_runtime.logs.log_time import TimestampParser
from tests.fakes.edge_api import edge_api
from tests.fakes.edge_pods import pod_json
from tests.fakes.tunnel_pair import read_all
from tunnel.errors import StreamReset
from tunnel.log_positions import POSITIONS_HEADER, POSITIONS_VERSION, LogFrameDecoder

if TYPE_CHECKING:
    from pathlib import Path

PATH = "/containerLogs/ns/p/c"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", b"one\ntwo\nthree\n"),
        ("?tailLines=1", b"three\n"),
        ("?tailLines=0", b""),
        ("?limitBytes=5", b"one\nt"),
        ("?sinceSeconds=3600", b"one\ntwo\nthree\n"),
        ("?sinceTime=2099-01-01T00:00:00Z", b""),
        ("?tail=2", b"two\nthree\n"),
        ("?stream=Stderr", b"two\n"),
    ],
)
async def test_what_is_asked_for_is_sent(tmp_path: Path, query: str, expected: bytes) -> None:
    """Each option reaches the reader."""
    async with edge_api(tmp_path) as api:
        container_id = await api.run_pod()
        api.cri.write_log(container_id, "one")
        api.cri.write_log(container_id, "two", stream="stderr")
        api.cri.write_log(container_id, "three")
        answer = await api.pair.fetch(PATH + query)

    assert answer == (200, expected)


async def test_followed_log_grows_until_the_container_ends(tmp_path: Path) -> None:
    """The head comes before any output; all output comes before the end."""
    async with edge_api(tmp_path) as api:
        container_id = await api.run_pod(pod_json(restartPolicy="Never"))
        api.cri.containers[container_id].log_path.touch()
        stream = await api.pair.request(PATH + "?follow=true")
        head = await stream.response()
        api.cri.write_log(container_id, "line")
        first = await stream.read()
        api.cri.write_log(container_id, "last")
        api.cri.exit_container(container_id, 0)
        rest = await read_all(stream)

    assert head.status == 200
    assert first == b"line\n"
    assert rest == b"last\n"


async def test_who_asks_for_positions_gets_them(tmp_path: Path) -> None:
    """Each piece of a followed log with the time up to which it is whole."""
    positions = (POSITIONS_HEADER, POSITIONS_VERSION)
    async with edge_api(tmp_path) as api:
        container_id = await api.run_pod(pod_json(restartPolicy="Never"))
        api.cri.write_log(container_id, "line")
        stream = await api.pair.request(PATH + "?follow=true", headers=(positions,))
        assert positions in (await stream.response()).headers
        (frame,) = LogFrameDecoder().receive_data(await stream.read())
        stamp = api.cri.containers[container_id].log_path.read_text().split(" ")[0]
        api.cri.exit_container(container_id, 0)
        assert await read_all(stream) == b""
        whole = await api.pair.request(PATH, headers=(positions,))
        assert positions not in (await whole.response()).headers
        assert await read_all(whole) == b"line\n"

    assert frame.text == b"line\n"
    assert frame.position_ns == TimestampParser().parse(stamp.encode())


async def test_client_that_goes_away_ends_the_following(tmp_path: Path) -> None:
    """The handler is done: the tunnel can be drained."""
    async with edge_api(tmp_path) as api:
        container_id = await api.run_pod()
        api.cri.write_log(container_id, "line")
        stream = await api.pair.request(PATH + "?follow=true")
        await stream.read()
        stream.reset()
        async with asyncio.timeout(1.5):  # less than what a handler of a lost stream is given
            await api.pair.server.drain(deadline_s=10)


async def test_log_that_vanishes_resets_the_stream(tmp_path: Path) -> None:
    """A part of a log is never taken for the whole."""
    async with edge_api(tmp_path) as api:
        container_id = await api.run_pod()
        api.cri.write_log(container_id, "line")
        path = api.cri.containers[container_id].log_path
        stream = await api.pair.request(PATH + "?follow=true")
        await stream.read()
        path.unlink()
        path.mkdir()
        with pytest.raises(StreamReset):
            await read_all(stream)


async def test_missing_file_is_an_answer_of_its_own(tmp_path: Path) -> None:
    """Not an empty log."""
    async with edge_api(tmp_path) as api:
        container_id = await api.run_pod()
        api.cri.containers[container_id].log_path.unlink(missing_ok=True)
        status, body = await api.pair.fetch(PATH)

    assert status == 400
    assert b"No such file or directory" in body


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/containerLogs/ns/none/c", 404, 'pod "none" does not exist'),
        ("/containerLogs/ns/p/none", 404, 'container "none" not found in pod "p"'),
        ("/containerLogs/ns//c", 400, '{"message": "Missing podID."}'),
        (f"{PATH}?tailLines=x", 400, '{"message": "Unable to decode query."}'),
        (f"{PATH}?limitBytes=0", 422, '{"message": "Invalid request."}'),
        (f"{PATH}?previous=true", 400, 'previous terminated container "c" in pod "p" not found'),
    ],
)
async def test_refusals_have_the_kubelets_words(
    tmp_path: Path, path: str, status: int, text: str
) -> None:
    """Kubectl shows them."""
    async with edge_api(tmp_path) as api:
        await api.run_pod()
        answer = await api.pair.fetch(path)

    assert answer == (status, text.encode())


def found(*, previous: bool = False, **status: Any) -> str:  # noqa: ANN401  # API JSON
    """Choose from one container's status."""
    pod_status = {"containerStatuses": [{"name": "c", **status}]}
    return find_logged_container(pod_status, pod_name="p", container="c", previous=previous)


RUNNING = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
ENDED = {"terminated": {"exitCode": 1, "containerID": "containerd://old"}}


def test_running_container_comes_first_then_the_last_one() -> None:
    """Source: kubelet validateContainerLogStatus."""
    assert found(state=RUNNING, lastState=ENDED, containerID="containerd://new") == (
        "containerd://new"
    )
    assert found(state=ENDED) == "containerd://old"
    assert found(state={"terminated": {"exitCode": 128}}, lastState=ENDED) == "containerd://old"
    assert found(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=ENDED) == (
        "containerd://old"
    )
    assert found(previous=True, state=RUNNING, lastState=ENDED) == "containerd://old"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({"state": {"waiting": {"reason": "ErrImagePull"}}}, "image can't be pulled"),
        (
            {"state": {"waiting": {"reason": "ImagePullBackOff"}}},
            "trying and failing to pull image",
        ),
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, "ContainerCreating"),
    ],
)
def test_waiting_container_says_what_it_waits_for(status: dict[str, Any], text: str) -> None:
    """As kubectl logs prints it."""
    with pytest.raises(ApiError) as refused:
        found(**status)

    assert refused.value.status == 400
    assert refused.value.text == f'container "c" in pod "p" is waiting to start: {text}'


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({"state": {}}, 'container "c" in pod "p" is waiting to start - no logs yet'),
        ({"state": {"terminated": {"exitCode": 1}}}, 'container "c" in pod "p" is terminated'),
    ],
)
def test_container_that_never_was_has_no_log(status: dict[str, Any], text: str) -> None:
    """The remaining texts."""
    with pytest.raises(ApiError) as refused:
        found(**status)

    assert refused.value.text == text


@pytest.mark.parametrize("kind", ["initContainerStatuses", "ephemeralContainerStatuses"])
def test_containers_of_every_kind_have_logs(kind: str) -> None:
    """`kubectl logs -c` of an init container or of a debugging one."""
    ended = {"state": {"terminated": {"containerID": "containerd://i"}}}
    status = {"containerStatuses": [{"name": "c"}], kind: [{"name": "i", **ended}]}
    found = find_logged_container(status, pod_name="p", container="i", previous=False)
    assert found == "containerd://i"


def test_container_without_status_is_not_available() -> None:
    """The pod was not worked on yet."""
    with pytest.raises(ApiError) as refused:
        find_logged_container({}, pod_name="p", container="c", previous=False)

    assert refused.value.text == 'container "c" in pod "p" is not available'
