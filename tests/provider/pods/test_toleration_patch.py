"""The patch of tolerations: once for each pod that needs it, and again when it is refused."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from provider.pods.toleration_patch import TolerationPatch
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from provider.kube.client import KubeClient

Json = dict[str, Any]
PODS = "/api/v1/namespaces/default/pods"
SITE = {"key": "edgelet.dev/site", "operator": "Exists"}
DEFAULTS = [
    {
        "key": f"node.kubernetes.io/{kind}",
        "operator": "Exists",
        "effect": "NoExecute",
        "tolerationSeconds": 300,
    }
    for kind in ("not-ready", "unreachable")
]

pytestmark = pytest.mark.looptime


def put_pod(server: FakeAPIServer, *tolerations: Json) -> Json:
    """Put a pod into the API and return it as a watch would."""
    spec = {"nodeName": "site-a", "tolerations": list(tolerations)}
    return server.put(PODS, {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})


@contextlib.asynccontextmanager
async def patching(kube: KubeClient) -> AsyncIterator[TolerationPatch]:
    """Run one."""
    patch = TolerationPatch(kube.as_self)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(patch.run())
        yield patch
        task.cancel()


def limits(server: FakeAPIServer) -> list[object]:
    """Return the limits of the tolerations that the pod has now."""
    found = server.objects[PODS, "web"]["spec"]["tolerations"]
    return [item["tolerationSeconds"] for item in found if "tolerationSeconds" in item]


@on_api_server
async def test_a_pod_of_the_site_is_patched_once(server: FakeAPIServer, kube: KubeClient) -> None:
    """As the ServiceAccount, for a node may not; what the watch then tells needs nothing."""
    async with patching(kube) as patch:
        patch.pod_changed(put_pod(server, SITE, *DEFAULTS))
        await asyncio.sleep(1)
        assert limits(server) == []
        patch.pod_changed(server.objects[PODS, "web"])
        await asyncio.sleep(60)
    [request] = server.seen("patch")
    assert request.user == ""
    assert set(request.body) == {"metadata", "spec"}
    assert set(request.body["spec"]) == {"tolerations"}


@on_api_server
async def test_other_pods_are_not(server: FakeAPIServer, kube: KubeClient) -> None:
    """Neither one that names no site, nor one that is being deleted."""
    async with patching(kube) as patch:
        patch.pod_changed(put_pod(server, *DEFAULTS))
        ending = put_pod(server, SITE, *DEFAULTS)
        ending["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        patch.pod_changed(ending)
        await asyncio.sleep(60)
    assert not server.seen("patch")


@on_api_server
async def test_a_refusal_is_asked_again(server: FakeAPIServer, kube: KubeClient) -> None:
    """The right may be granted a little later."""
    server.fail("patch", "pods", 403, times=2)
    async with patching(kube) as patch:
        patch.pod_changed(put_pod(server, SITE, *DEFAULTS))
        await asyncio.sleep(31)
    assert limits(server) == []
    assert len(server.seen("patch")) == 3


@on_api_server
async def test_a_pod_that_changed_meanwhile_is_looked_at_anew(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """The list is replaced as a whole: what another added must not be lost."""
    async with patching(kube) as patch:
        old = put_pod(server, SITE, *DEFAULTS)
        added = {"key": "other", "operator": "Exists"}
        new = put_pod(server, SITE, *DEFAULTS, added)
        patch.pod_changed(old)
        await asyncio.sleep(1)
        assert limits(server) == [300, 300]
        patch.pod_changed(new)
        await asyncio.sleep(1)
    assert limits(server) == []
    assert added in server.objects[PODS, "web"]["spec"]["tolerations"]


@on_api_server
async def test_a_pod_that_is_gone_is_forgotten(server: FakeAPIServer, kube: KubeClient) -> None:
    """Nothing is tried again for it."""
    server.fail("patch", "pods", 503)
    async with patching(kube) as patch:
        pod = put_pod(server, SITE, *DEFAULTS)
        patch.pod_changed(pod)
        await asyncio.sleep(1)
        patch.pod_deleted(pod["metadata"]["uid"])
        await asyncio.sleep(60)
    assert len(server.seen("patch")) == 1
