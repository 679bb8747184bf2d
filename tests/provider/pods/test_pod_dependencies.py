"""What one pod needs, all of it: brought, kept, forgotten."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

import pytest

from provider.pods.object_watcher import POLL_S
from provider.pods.pod_dependencies import PodDependencies
from provider.pods.references import CLAIM, KINDS, claim_volume, pod_references
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
    from tunnel.sync import Hello

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


class Mirror:
    """What an edge holds when it keeps all that it is told, over all sessions."""

    def __init__(self) -> None:
        self.objects: dict[str, ObjectPut] = {}
        self.services: dict[str, ServicesPut] = {}

    def take(self, message: FromProvider) -> None:
        """Keep or forget."""
        match message:
            case ObjectPut(kind=kind, namespace=namespace, name=name):
                self.objects[object_key(kind=kind, namespace=namespace, name=name)] = message
            case ObjectForget(kind=kind, namespace=namespace, name=name):
                del self.objects[object_key(kind=kind, namespace=namespace, name=name)]
            case ServicesPut(namespace=namespace, complete=True):
                self.services[namespace] = message
            case ServicesPut(namespace=namespace):
                del self.services[namespace]

    def hello(self) -> Hello:
        """Say what is held."""
        return make_hello(
            objects={key: put.revision for key, put in self.objects.items()},
            services={name: put.revision for name, put in self.services.items()},
        )


class Churn:
    """A cluster in which pods, objects and sessions come and go as chance has it."""

    def __init__(self, server: FakeAPIServer, kube: KubeClient, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311
        self.server = server
        self.kube = kube
        self.mirror = Mirror()
        self.pods: dict[str, Json] = {}
        self.is_connected = False
        self.needs = self.new_provider()

    def new_provider(self) -> PodDependencies:
        """Return one that knows nothing yet."""
        self.is_connected = False
        return PodDependencies(self.kube.node_objects, send=self.mirror.take)

    def step(self) -> None:
        """Let something happen."""
        step = self.rng.choice(
            (self.come, self.come, self.go, self.change, self.change, self.connect, self.cut)
        )
        step()

    def come(self) -> None:
        """Create a pod, or let one refer to other objects."""
        uid = f"u{self.rng.randrange(5)}"
        namespace = ("ns", "default")[int(uid[1:]) % 2]
        volumes: list[Json] = [
            {"name": "m", "configMap": {"name": self.rng.choice("abc")}},
            {"name": "c", "persistentVolumeClaim": {"claimName": self.rng.choice("ab")}},
        ]
        metadata = {"namespace": namespace, "name": uid, "uid": uid}
        self.pods[uid] = {"metadata": metadata, "spec": {"volumes": self.rng.sample(volumes, 1)}}
        self.needs.pod_changed(self.pods[uid])

    def go(self) -> None:
        """Delete a pod."""
        if self.pods:
            uid = self.rng.choice(sorted(self.pods))
            del self.pods[uid]
            self.needs.pod_deleted(uid)

    def change(self) -> None:
        """Create, change or delete an object, or a Service."""
        base = f"/api/v1/namespaces/{self.rng.choice(('ns', 'default'))}"
        name, ip = self.rng.choice("abc"), f"10.0.0.{self.rng.randrange(9)}"
        bound = {"spec": {"volumeName": f"pv-{name}"}, "status": {"phase": "Bound"}}
        bodies: dict[str, Json] = {
            f"{base}/configmaps": {"data": {"k": ip}},
            f"{base}/persistentvolumeclaims": self.rng.choice(({"spec": {}}, bound)),
            "/api/v1/persistentvolumes": {"spec": {"local": {"path": ip}}},
            f"{base}/services": {"spec": {"clusterIP": ip, "ports": []}},
        }
        path = self.rng.choice(sorted(bodies))
        if (path, name) in self.server.objects and self.rng.random() < 0.3:
            self.server.remove(path, name)
        else:
            name = f"pv-{name}" if path.endswith("volumes") else name
            self.server.put(path, {"metadata": {"name": name}, **bodies[path]})

    def connect(self) -> None:
        """Begin a session, if there is none."""
        if not self.is_connected:
            self.is_connected = True
            self.needs.session_started(self.mirror.hello())
            self.needs.all_pods_known()

    def cut(self) -> None:
        """End the session, if there is one."""
        self.is_connected = False
        self.needs.session_ended()

    def wanted(self) -> dict[str, Json | None]:
        """Return what the pods need, as the API server has it: contents by key."""
        found: dict[str, Json | None] = {}
        refs = {ref for pod in self.pods.values() for ref in pod_references(pod)}
        while refs:
            ref = refs.pop()
            resource = KINDS[ref.kind].resource
            base = f"/api/v1/namespaces/{ref.namespace}" if ref.namespace else "/api/v1"
            body = self.server.objects.get((f"{base}/{resource}", ref.name))
            found[ref.key] = body and {key: body[key] for key in ("data", "spec") if key in body}
            if body and ref.kind == CLAIM and (volume := claim_volume(body)):
                refs.add(volume)
        return found

    def held(self) -> dict[str, Json | None]:
        """Return what the edge holds, in the same form."""
        return {
            key: put.object and {k: put.object[k] for k in ("data", "spec") if k in put.object}
            for key, put in self.mirror.objects.items()
        }

    def wanted_services(self) -> dict[str, dict[str, str]]:
        """Return the addresses that the pods' environments name, by namespace."""
        namespaces = {pod["metadata"]["namespace"] for pod in self.pods.values()}
        followed = namespaces | ({"default"} if namespaces else set())
        return {
            namespace: {
                name: body["spec"]["clusterIP"]
                for (path, name), body in self.server.objects.items()
                if path == f"/api/v1/namespaces/{namespace}/services" and namespace in namespaces
            }
            for namespace in followed
        }

    def held_services(self) -> dict[str, dict[str, str]]:
        """Return those that the edge holds."""
        return {
            namespace: {
                each["metadata"]["name"]: each["spec"]["clusterIP"] for each in put.services
            }
            for namespace, put in self.mirror.services.items()
        }


@on_api_server
@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_the_edge_ends_with_what_its_pods_need(
    server: FakeAPIServer, kube: KubeClient, seed: int
) -> None:
    """Pods, objects, sessions and providers come and go; then all of it is right, nothing else."""
    churn = Churn(server, kube, seed)
    for _ in range(3):
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(churn.needs.run())
            for _ in range(40):
                churn.step()
                await asyncio.sleep(churn.rng.choice((0, 0, 0.01, 3)))
            churn.connect()
            # Claims are polled.
            await asyncio.sleep(3 * POLL_S)
            assert churn.held() == churn.wanted()
            assert churn.held_services() == churn.wanted_services()
            running.cancel()
        churn.cut()
        churn.needs = churn.new_provider()
        for pod in churn.pods.values():
            churn.needs.pod_changed(pod)
