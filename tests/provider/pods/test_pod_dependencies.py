"""What one pod needs, all of it: brought, kept, forgotten."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from provider.pods.pod_dependencies import PodDependencies
from tests.fakes.fake_api_server import FakeAPIServer, on_api_server
from tests.fakes.fake_edge import make_hello
from tunnel.sync import (
    FromProvider,
    ObjectForget,
    ObjectPut,
    ServicesPut,
    TokenPut,
    TokenWant,
    object_key,
)

if TYPE_CHECKING:
    from provider.kube.client import KubeClient

Json = dict[str, Any]

pytestmark = pytest.mark.looptime

POD: Json = {
    "metadata": {"namespace": "ns", "name": "p", "uid": "u"},
    "spec": {
        "serviceAccountName": "sa",
        "containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "s"}}]}],
        "volumes": [
            {
                "name": "api",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                        {"configMap": {"name": "kube-root-ca.crt"}},
                    ]
                },
            },
            {"name": "data", "persistentVolumeClaim": {"claimName": "c"}},
        ],
    },
}
WANT = TokenWant(pod_uid="u", service_account="sa", audiences=[], expiry_s=3607)
KEYS = {
    "Secret/ns/s",
    "ConfigMap/ns/kube-root-ca.crt",
    "PersistentVolumeClaim/ns/c",
    "PersistentVolume//pv",
}


def fill(server: FakeAPIServer) -> None:
    """Create all that the pod refers to."""
    base = "/api/v1/namespaces/ns"
    server.put(f"{base}/secrets", {"metadata": {"name": "s"}, "data": {"k": "eA=="}})
    server.put(f"{base}/configmaps", {"metadata": {"name": "kube-root-ca.crt"}, "data": {}})
    claim = {"spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}
    server.put(f"{base}/persistentvolumeclaims", {"metadata": {"name": "c"}, **claim})
    server.put("/api/v1/persistentvolumes", {"metadata": {"name": "pv"}})


class Sent:
    """What was sent so far."""

    def __init__(self) -> None:
        self.messages: list[FromProvider] = []

    def take(self) -> list[FromProvider]:
        """Return it, and begin anew."""
        taken, self.messages = self.messages, []
        return taken


def keys_of(messages: list[FromProvider], kind: type[ObjectPut | ObjectForget]) -> set[str]:
    """Return the keys of the objects that messages of one kind are about."""
    return {
        object_key(kind=each.kind, namespace=each.namespace, name=each.name)
        for each in messages
        if isinstance(each, kind)
    }


@on_api_server
async def test_all_that_a_pod_needs_from_its_first_session_to_its_end(
    server: FakeAPIServer, kube: KubeClient
) -> None:
    """An edge that has it all gets nothing, and with the pod all of it goes."""
    fill(server)
    sent = Sent()
    needs = PodDependencies(kube.node_objects, send=lambda message: sent.messages.append(message))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(needs.run())
        needs.pod_changed(POD)
        needs.session_started(make_hello())
        needs.all_pods_known()
        needs.token_wanted(WANT)
        await asyncio.sleep(1)
        first = sent.take()
        assert keys_of(first, ObjectPut) == KEYS
        services = {each.namespace: each for each in first if isinstance(each, ServicesPut)}
        assert set(services) == {"ns", "default"}
        assert [each.error for each in first if isinstance(each, TokenPut)] == [""]

        needs.session_ended()
        objects = {
            object_key(kind=each.kind, namespace=each.namespace, name=each.name): each.revision
            for each in first
            if isinstance(each, ObjectPut)
        }
        revisions = {name: each.revision for name, each in services.items()}
        needs.session_started(make_hello(objects=objects, services=revisions))
        needs.pod_changed(POD)
        needs.all_pods_known()
        await asyncio.sleep(1)
        assert sent.take() == []

        needs.pod_deleted("u")
        last = sent.take()
        assert keys_of(last, ObjectForget) == KEYS
        gone = {each.namespace for each in last if isinstance(each, ServicesPut)}
        assert gone == {"ns", "default"}
        running.cancel()
