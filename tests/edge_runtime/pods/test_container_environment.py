"""Environments wait for what the provider has not told yet, and say what did not come."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.pods import container_environment
from edge_runtime.pods.container_environment import ContainerEnvironment
from edge_runtime.pods.environment import EnvironmentProblem
from edge_runtime.store.database import Database
from edge_runtime.store.object_store import ObjectStore
from edge_runtime.store.service_store import ServiceStore
from tests.fakes.pod_settings import make_pod_settings
from tunnel.sync import ObjectForget, ObjectPut, ServicesPut

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge_runtime.objects.container import Json
    from edge_runtime.objects.pod import PodUID

API = {
    "metadata": {"name": "kubernetes"},
    "spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 443}]},
}
VARIABLES: list[Json] = [
    {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}},
    {
        "name": "NOTE",
        "valueFrom": {"secretKeyRef": {"name": "note", "key": "k", "optional": True}},
    },
]


class Statuses(dict["PodUID", "Json"]):
    """What was told of pods."""


class Parts:
    """Stores that the test fills, and what is tested over them."""

    def __init__(self, folder: Path, database: Database) -> None:
        self.objects = ObjectStore(database)
        self.services = ServiceStore(database)
        self.statuses = Statuses()
        self.environment = ContainerEnvironment(
            objects=self.objects,
            services=self.services,
            statuses=self.statuses,
            settings=make_pod_settings(folder),
        )

    async def put(self, kind: str, name: str, data: Json | None) -> None:
        """Tell of an object, or that there is none."""
        found = None if data is None else {"data": data}
        await self.objects.put(
            ObjectPut(kind=kind, namespace="shop", name=name, revision="r", object=found)
        )

    async def put_services(self, namespace: str, *services: Json) -> None:
        """Tell of all Services of a namespace."""
        await self.services.put(
            ServicesPut(namespace=namespace, services=list(services), complete=True, revision="r")
        )

    async def of(self, *env: Json, ips: tuple[str, ...] = (), **spec: object) -> dict[str, str]:
        """Return the environment of a pod's only container."""
        made = pod(*env, **spec)
        return await self.environment.of(made, made.containers[0], ips=ips)


def pod(*env: Json, **spec: object) -> Pod:
    """A pod of one container with these variables."""
    container = {"name": "c", "env": list(env)}
    metadata = {"name": "p", "namespace": "shop", "uid": "u"}
    return Pod({"metadata": metadata, "spec": {"containers": [container], **spec}})


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """Nothing was told yet."""
    database = Database(tmp_path / "edgelet.db")
    yield Parts(tmp_path, database)
    database.close()


async def test_all_that_is_known_makes_an_environment(parts: Parts) -> None:
    """At once, also while the cloud is away."""
    await parts.put_services("default", API)
    await parts.put_services("shop")
    await parts.put("ConfigMap", "settings", {"color": "blue"})
    await parts.put("Secret", "note", {"k": base64.b64encode(b"hi").decode()})
    found = await parts.of(*VARIABLES)
    assert (found["COLOR"], found["NOTE"]) == ("blue", "hi")
    assert found["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"


async def test_it_waits_for_what_comes_with_the_pod(parts: Parts) -> None:
    """Services and objects, optional ones too: a variable that comes later never comes."""
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(parts.of(*VARIABLES))
        await parts.put_services("default", API)
        await parts.put_services("shop")
        await parts.put("ConfigMap", "settings", {"color": "blue"})
        assert not waiting.done()
        await parts.put("Secret", "note", None)
    found = waiting.result()
    assert found["COLOR"] == "blue"
    assert "NOTE" not in found


@pytest.mark.parametrize("namespaces", [(), ("default",), ("shop",)])
async def test_without_services_no_container_starts(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, namespaces: tuple[str, ...]
) -> None:
    """A process that misses its variables would miss them for ever."""
    monkeypatch.setattr(container_environment, "PATIENCE_S", 0.01)
    for each in namespaces:
        await parts.put_services(each)
    with pytest.raises(EnvironmentProblem) as error:
        await parts.of()
    assert str(error.value) == (
        "services have not yet been read at least once, cannot construct envvars"
    )


async def test_a_pod_without_links_needs_those_of_the_api_alone(parts: Parts) -> None:
    """Its own namespace's are not waited for."""
    await parts.put_services("default", API)
    found = await parts.of(enableServiceLinks=False)
    assert found["KUBERNETES_SERVICE_PORT"] == "443"


@pytest.mark.parametrize(
    ("kind", "told"),
    [("ConfigMap", "configmap"), ("Secret", "secret")],
)
async def test_what_does_not_come_is_not_taken_for_missing(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, kind: str, told: str
) -> None:
    """Even when it is optional: it may be there, and then the process has to see it."""
    monkeypatch.setattr(container_environment, "PATIENCE_S", 0.01)
    await parts.put_services("default")
    for name in {"ConfigMap": ["note"], "Secret": ["settings"]}[kind]:
        await parts.put({"ConfigMap": "Secret", "Secret": "ConfigMap"}[kind], name, {"color": ""})
    if kind == "Secret":
        await parts.put("ConfigMap", "settings", {"color": "blue"})
    with pytest.raises(EnvironmentProblem) as error:
        await parts.of(*VARIABLES, enableServiceLinks=False)
    assert str(error.value) == (f"failed to sync {told} cache: timed out waiting for the condition")


async def test_a_missing_object_is_told_and_heals(parts: Parts) -> None:
    """Once it is there the next try finds it; a forgotten one is unknown again."""
    await parts.put_services("default")
    await parts.put("ConfigMap", "settings", None)
    await parts.put("Secret", "note", None)
    with pytest.raises(EnvironmentProblem, match=r'^configmap "settings" not found$'):
        await parts.of(*VARIABLES, enableServiceLinks=False)
    await parts.put("ConfigMap", "settings", {"color": "blue"})
    assert (await parts.of(*VARIABLES, enableServiceLinks=False))["COLOR"] == "blue"
    await parts.objects.forget(ObjectForget(kind="Secret", namespace="shop", name="note"))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await parts.of(*VARIABLES, enableServiceLinks=False)


async def test_waiting_can_be_cancelled(parts: Parts) -> None:
    """The pod's end does not wait for the cloud; a later try starts anew."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            await parts.of(*VARIABLES)
    await parts.put_services("default")
    assert await parts.of(enableServiceLinks=False) == {}


ADDRESSES = (
    {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}},
    {"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
)


async def test_addresses_are_those_of_the_status(parts: Parts) -> None:
    """One of each family, that of the machine's first; with its network the machine's own."""
    await parts.put_services("default")
    ips = ("fd00::7", "10.0.0.7", "10.0.0.8")
    found = await parts.of(*ADDRESSES, ips=ips, enableServiceLinks=False)
    assert (found["POD"], found["HOST"]) == ("10.0.0.7,fd00::7", "192.0.2.1")
    found = await parts.of(*ADDRESSES, enableServiceLinks=False, hostNetwork=True)
    assert (found["POD"], found["HOST"]) == ("192.0.2.1", "192.0.2.1")


async def test_a_machine_whose_link_is_down_has_the_address_it_had(
    parts: Parts, tmp_path: Path
) -> None:
    """A pod that starts again while the cable is out runs on as before."""
    await parts.put_services("default")
    made = pod(*ADDRESSES, enableServiceLinks=False)
    parts.statuses[made.uid] = {"hostIP": "192.0.2.9", "hostIPs": [{"ip": "192.0.2.9"}]}
    settings = make_pod_settings(tmp_path)
    nowhere = ContainerEnvironment(
        objects=parts.objects,
        services=parts.services,
        statuses=parts.statuses,
        settings=dataclasses.replace(settings, host_ips=lambda: ()),
    )
    found = await nowhere.of(made, made.containers[0], ips=("10.0.0.7",))
    assert (found["POD"], found["HOST"]) == ("10.0.0.7", "192.0.2.9")


async def test_limits_that_are_not_set_are_the_machines(parts: Parts) -> None:
    """What pods may have in all."""
    await parts.put_services("default")
    reference = {"resourceFieldRef": {"resource": "limits.cpu", "divisor": "0"}}
    found = await parts.of({"name": "CPUS", "valueFrom": reference}, enableServiceLinks=False)
    assert found["CPUS"] == "64"
