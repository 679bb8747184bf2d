"""Secrets: read, compare-and-swap, watch, against an API server that speaks the protocol."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from provider.trust.errors import SecretMissing, SecretUnavailable
from provider.trust.secret_store import MAX_TRIES, SecretStore
from tests.fakes.edge_pods import until
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tests.fakes.site_objects import put_secrets, put_site, secret_data, secrets_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from provider.kube.client import KubeClient
    from provider.trust.secret_store import SecretData

NAME = "edgelet-join-tokens"


def store_of(kube: KubeClient) -> SecretStore:
    """Open the store of site-a."""
    return SecretStore(kube.as_self, namespace="edgelet-site-a")


def adding(letter: bytes) -> Callable[[Mapping[str, bytes]], tuple[SecretData, bytes]]:
    """Return a change that appends to the field x."""

    def change(data: Mapping[str, bytes]) -> tuple[SecretData, bytes]:
        text = data.get("x", b"") + letter
        return {**data, "x": text}, text

    return change


@on_api_server
async def test_a_change_keeps_what_is_there(server: FakeAPIServer, kube: KubeClient) -> None:
    """Other fields, labels and the type; the answer is the change's."""
    put_site(server)
    put_secrets(server, {NAME: {"other": b"\x00\xff"}})
    server.change(secrets_path("site-a"), NAME, {"metadata": {"labels": {"a": "b"}}})
    store = store_of(kube)
    assert await store.update(NAME, adding(b"a")) == b"a"
    assert secret_data(server, NAME) == {"other": b"\x00\xff", "x": b"a"}
    stored = server.objects[secrets_path("site-a"), NAME]
    assert (stored["metadata"]["labels"], stored["type"]) == ({"a": "b"}, "Opaque")
    assert await store.read(NAME) == secret_data(server, NAME)


@on_api_server
async def test_concurrent_changes_are_all_there(server: FakeAPIServer, kube: KubeClient) -> None:
    """Each one that collides decides again on what is there."""
    put_site(server)
    async with asyncio.TaskGroup() as tasks:
        for letter in (b"a", b"b", b"c", b"d"):
            tasks.create_task(store_of(kube).update(NAME, adding(letter)))
    assert sorted(secret_data(server, NAME)["x"]) == sorted(b"abcd")
    assert len(server.seen("update")) > 4


@on_api_server
async def test_nothing_is_written_without_a_change(server: FakeAPIServer, kube: KubeClient) -> None:
    """None, or the same again."""
    put_site(server)
    put_secrets(server, {NAME: {"x": b"a"}})
    assert await store_of(kube).update(NAME, lambda data: (None, len(data))) == 1
    assert await store_of(kube).update(NAME, lambda data: (dict(data), "same")) == "same"
    assert server.seen("update") == []


@on_api_server
async def test_endless_conflicts_end(server: FakeAPIServer, kube: KubeClient) -> None:
    """After a bounded number of tries."""
    put_site(server)
    server.fail("update", NAME, 409, times=MAX_TRIES)
    with pytest.raises(SecretUnavailable, match="changed by others"):
        await store_of(kube).update(NAME, adding(b"a"))
    assert len(server.seen("update")) == MAX_TRIES


@on_api_server
async def test_what_is_missing_is_said(server: FakeAPIServer, kube: KubeClient) -> None:
    """It is never created."""
    with pytest.raises(SecretMissing, match="manifests"):
        await store_of(kube).read(NAME)
    put_site(server)
    server.fail("update", NAME, 404)
    with pytest.raises(SecretMissing):
        await store_of(kube).update(NAME, adding(b"a"))
    assert server.seen("create") == []


@pytest.mark.parametrize("code", [403, 500, None])
async def test_every_failure_is_one_sentence(code: int | None) -> None:
    """Of the API server, of RBAC, of the connection."""
    async with FakeAPIServer() as server, server.client() as kube:
        put_site(server)
        server.fail("get", NAME, code, times=3)
        with pytest.raises(SecretUnavailable, match=NAME):
            await store_of(kube).read(NAME)


@on_api_server
async def test_an_observer_sees_every_newer_content_once(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """From reads, writes and the watch; what is older is left out."""
    put_site(server)
    store = store_of(kube)
    seen: list[bytes] = []
    arrived = asyncio.Event()

    def take(data: SecretData) -> None:
        seen.append(data.get("x", b""))
        arrived.set()

    store.observe(NAME, take)
    old = server.objects[secrets_path("site-a"), NAME]
    await store.read(NAME)
    await store.read(NAME)
    await store.update(NAME, adding(b"a"))
    assert seen == [b"", b"a"]
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(store.watch(NAME))
        await until(lambda: bool(server.seen("watch")))
        server.send_raw({"type": "MODIFIED", "object": old})
        arrived.clear()
        put_secrets(server, {NAME: {"x": b"theirs"}})
        await arrived.wait()
        assert seen == [b"", b"a", b"theirs"]
        # It was deleted and applied again: nothing is taken back before there is new content.
        server.remove(secrets_path("site-a"), NAME)
        arrived.clear()
        put_site(server)
        await arrived.wait()
        watch.cancel()
    assert seen[3:] == [b""]


@on_api_server
async def test_only_the_named_secret_is_watched(server: FakeAPIServer, kube: KubeClient) -> None:
    """As RBAC allows it: by name, and with no list."""
    put_site(server)
    async with asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(store_of(kube).watch(NAME))
        await until(lambda: bool(server.seen("watch")))
        watch.cancel()
    assert server.seen("list") == []
