"""List and watch, through everything that breaks it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.kube.errors import TooManyRequests
from provider.kube.watch import (
    Added,
    Backoff,
    Bookmark,
    Deleted,
    Listed,
    Modified,
    WatchEvent,
    is_older_version,
    list_and_watch,
    watch_object,
)
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provider.kube.client import KubeClient

PODS = "/api/v1/namespaces/default/pods"
ALL_PODS = "/api/v1/pods"
SELECTOR = {"fieldSelector": "spec.nodeName=site-a"}

pytestmark = pytest.mark.looptime


def pod(name: str, node: str = "site-a") -> dict[str, Any]:
    """Return a pod on a node."""
    return {"metadata": {"name": name}, "spec": {"nodeName": node}}


@contextlib.asynccontextmanager
async def watching(kube: KubeClient) -> AsyncIterator[AsyncIterator[WatchEvent]]:
    """Watch the pods of site-a."""
    backoff = Backoff(rng=random.Random(1))  # noqa: S311
    watch = list_and_watch(kube.as_node, ALL_PODS, query=SELECTOR, backoff=backoff)
    async with contextlib.aclosing(watch) as events, asyncio.timeout(500):
        yield events


def name_of(event: WatchEvent) -> str:
    """Return the name of the object that an event is about."""
    assert isinstance(event, Added | Modified | Deleted)
    return str(event.object["metadata"]["name"])


@on_api_server
async def test_a_complete_list_comes_first(server: FakeAPIServer, kube: KubeClient) -> None:
    """Through all its pages, and with the selector."""
    server.page_size = 2
    for index in range(5):
        server.put(PODS, pod(f"p{index}"))
    server.put(PODS, pod("other", node="site-b"))
    async with watching(kube) as events:
        listed = await anext(events)
        assert isinstance(listed, Listed)
        assert [item["metadata"]["name"] for item in listed.items] == ["p0", "p1", "p2", "p3", "p4"]
    assert len(server.seen("list")) == 3


@on_api_server
async def test_changes_follow(server: FakeAPIServer, kube: KubeClient) -> None:
    """Added, modified, deleted, in their order."""
    async with watching(kube) as events:
        await anext(events)
        server.put(PODS, pod("p"))
        server.change(PODS, "p", {"status": {"phase": "Running"}})
        server.remove(PODS, "p")
        kinds = [type(await anext(events)) for _ in range(3)]
    assert kinds == [Added, Modified, Deleted]


@on_api_server
async def test_a_watch_that_ended_goes_on_where_it_was(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Without a new list, and without losing what happened between."""
    async with watching(kube) as events:
        await anext(events)
        server.put(PODS, pod("a"))
        assert name_of(await anext(events)) == "a"
        server.end_watches()
        server.put(PODS, pod("b"))
        assert name_of(await anext(events)) == "b"
    assert len(server.seen("list")) == 1


@on_api_server
async def test_a_bookmark_saves_a_relist(server: FakeAPIServer, kube: KubeClient) -> None:
    """After it, compaction of what came before does no harm."""
    async with watching(kube) as events:
        await anext(events)
        while not server.seen("watch"):
            first = asyncio.ensure_future(anext(events))  # noqa: TID251 - ends in this test
            await asyncio.sleep(0.01)
        server.compact()
        server.bookmark()
        assert isinstance(await first, Bookmark)
        server.end_watches()
        server.put(PODS, pod("after"))
        assert name_of(await anext(events)) == "after"
    assert len(server.seen("list")) == 1


@on_api_server
async def test_410_on_opening_lists_again(server: FakeAPIServer, kube: KubeClient) -> None:
    """The version is too old: the whole picture comes anew."""
    async with watching(kube) as events:
        await anext(events)
        server.put(PODS, pod("a"))
        await anext(events)
        server.remove(PODS, "a")
        server.put(PODS, pod("b"))
        server.end_watches()
        server.compact()
        while not isinstance(event := await anext(events), Listed):
            pass
        assert [item["metadata"]["name"] for item in event.items] == ["b"]


@on_api_server
async def test_410_within_the_stream_lists_again(server: FakeAPIServer, kube: KubeClient) -> None:
    """An ERROR event with code 410 means the same as the status."""
    async with watching(kube) as events:
        await anext(events)
        server.put(PODS, pod("a"))
        await anext(events)
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
        server.send_raw({"type": "ERROR", "object": status})
        assert isinstance(await anext(events), Listed)


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ERROR", "object": {"code": 500, "message": "etcd"}},
        {"type": "SURPRISE", "object": {"metadata": {"resourceVersion": "1"}}},
        {"type": "ADDED", "object": {}},
        {"no": "event"},
    ],
)
@on_api_server
async def test_a_bad_event_breaks_only_this_watch(
    server: FakeAPIServer, kube: KubeClient, event: dict[str, Any]
) -> None:
    """It is opened again from the last good version."""
    async with watching(kube) as events:
        await anext(events)
        server.put(PODS, pod("a"))
        await anext(events)
        server.send_raw(event)
        server.put(PODS, pod("b"))
        assert name_of(await anext(events)) == "b"
    assert len(server.seen("watch")) == 2


@on_api_server
async def test_failures_are_waited_out(server: FakeAPIServer, kube: KubeClient) -> None:
    """With growing delays, and at last with success."""
    server.fail("list", ALL_PODS, 503, times=6)
    async with watching(kube) as events:
        assert isinstance(await anext(events), Listed)
    times = [request.time for request in server.seen("list")]
    delays = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(delays) == 6
    bounds = [0.5 * 2**n for n in range(6)]
    for delay, bound in zip(delays, bounds, strict=True):
        assert bound / 10 <= delay + 0.05
        assert delay <= bound + 0.05


@given(st.integers(min_value=0, max_value=100))
def test_delays_stay_below_the_cap(seed: int) -> None:
    """However many failures there were."""
    backoff = Backoff(rng=random.Random(seed))  # noqa: S311
    delays = [backoff.next_delay_s() for _ in range(40)]
    assert all(0 < delay <= 30.0 for delay in delays)
    backoff.reset()
    assert backoff.next_delay_s() <= 0.5


def test_versions_are_compared_as_numbers() -> None:
    """What is no number is never called old."""
    assert is_older_version("9", "10")
    assert not is_older_version("10", "10")
    assert not is_older_version("x", "10")


@on_api_server
async def test_a_problem_is_over_once_there_is_a_list(
    server: FakeAPIServer, kube: KubeClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Of an object that is missing no event may come for ever so long."""
    caplog.set_level("INFO", logger="provider.kube.watch")
    server.fail("list", ALL_PODS, 403, times=2)
    async with watching(kube) as events:
        assert isinstance(await anext(events), Listed)
        said = [record.message for record in caplog.records]
    assert len(said) == 2
    assert "tried again until it works" in said[0]
    assert "it works again" in said[1]


@on_api_server
async def test_a_wild_retry_after_does_not_blind_for_hours(
    server: FakeAPIServer, kube: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is heeded for a minute at most."""
    calls = 0

    async def overloaded(path: str, *, query: object) -> dict[str, Any]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise TooManyRequests("later", status=429, retry_after_s=86_400.0)
        return await real(path, query=query)  # type: ignore[arg-type]

    real = kube.as_node.list
    monkeypatch.setattr(kube.as_node, "list", overloaded)
    watch = list_and_watch(kube.as_node, ALL_PODS)
    async with contextlib.aclosing(watch) as events, asyncio.timeout(61):
        assert isinstance(await anext(events), Listed)
    assert asyncio.get_running_loop().time() >= 59


@on_api_server
async def test_one_object_is_watched_by_name_alone(server: FakeAPIServer, kube: KubeClient) -> None:
    """As it is now, then every change; with no list, which RBAC need not allow."""
    server.put(PODS, pod("a"))
    server.put(PODS, pod("b"))
    server.compact()
    watch = watch_object(kube.as_self, PODS, name="a", backoff=Backoff(rng=random.Random(1)))  # noqa: S311
    async with contextlib.aclosing(watch) as events, asyncio.timeout(500):
        assert isinstance(await anext(events), Added)
        server.put(PODS, pod("b"))
        server.bookmark()
        server.put(PODS, pod("a", node="site-b"))
        changed = await anext(events)
        assert (type(changed), name_of(changed)) == (Modified, "a")
        server.remove(PODS, "a")
        assert isinstance(await anext(events), Deleted)
    assert server.seen("list") == []


@on_api_server
async def test_one_object_is_told_again_after_a_gap(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """Whatever ended the watch; what changed meanwhile is in it."""
    server.put(PODS, pod("a"))
    watch = watch_object(kube.as_self, PODS, name="a", backoff=Backoff(rng=random.Random(1)))  # noqa: S311
    async with contextlib.aclosing(watch) as events, asyncio.timeout(500):
        await anext(events)
        for code in (403, 410, 503, None):
            server.fail("watch", PODS, code)
            server.end_watches()
            server.change(PODS, "a", {"spec": {"nodeName": f"site-{code}"}})
            while (await anext(events)).object["spec"]["nodeName"] != f"site-{code}":
                pass
