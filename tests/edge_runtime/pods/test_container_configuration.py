"""What containers are created with, where it comes from elsewhere: from waiting for it to running.

Whole lives of pods over a fake runtime.
"""

from __future__ import annotations

import asyncio
import base64
import time
from typing import TYPE_CHECKING, Any

from edge_runtime.pods import container_environment
from tests.fakes.edge_pods import deleted, edge_pods, is_running, pod_json, until
from tests.fakes.fake_cri import FakeCri
from tunnel.sync import ObjectPut, ServicesPut

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from edge_runtime.objects.container import Json
    from tests.fakes.edge_pods import EdgePods

# A container that could not be configured is tried again after 10 s, unless something changed.
HEALS_WITHIN_S = 5.0
COLOR = {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "color"}}}
WEB = {"metadata": {"name": "web"}, "spec": {"clusterIP": "10.0.0.7", "ports": [{"port": 80}]}}


def _pod(*env: Json, command: tuple[str, ...] = (), **spec: Any) -> Json:  # noqa: ANN401  # API JSON
    container = {
        "name": "c",
        "image": "busybox:1",
        "imagePullPolicy": "Never",
        "env": list(env),
        "command": list(command),
    }
    return pod_json(containers=[container], **spec)


async def _tell(edge: EdgePods, kind: str, name: str, data: Json | None) -> None:
    found = None if data is None else {"data": data}
    put = ObjectPut(kind=kind, namespace="ns", name=name, revision="r", object=found)
    await edge.parts.stores.objects.put(put)


async def _waits(edge: EdgePods, message: str) -> Json:
    def has_message(status: Json) -> bool:
        waiting: Json = status["containerStatuses"][0]["state"].get("waiting") or {}
        told = (waiting.get("reason"), waiting.get("message"))
        return told == ("CreateContainerConfigError", message)

    return await edge.status("u", has_message)


def _environment(fake: FakeCri) -> dict[str, bytes]:
    (created,) = fake.called("CreateContainer")
    return {each.key: each.value for each in created.config.envs}


async def test_a_missing_object_is_told_and_heals_at_once(tmp_path: Path) -> None:
    """Nothing is created before; the event and the waiting reason are a kubelet's."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await _tell(edge, "ConfigMap", "settings", None)
        await edge.put(_pod(COLOR))
        status = await _waits(edge, 'configmap "settings" not found')
        assert status["phase"] == "Pending"
        assert fake.called("CreateContainer") == []
        expected = ("Failed", 'Error: configmap "settings" not found')
        await until(
            lambda: expected in [(each.reason, each.message) for each in edge.recorder.pending()]
        )
        before_s = time.monotonic()
        await _tell(edge, "ConfigMap", "settings", {"other": "x"})
        await _waits(edge, "couldn't find key color in ConfigMap ns/settings")
        await _tell(edge, "ConfigMap", "settings", {"color": "blue"})
        status = await edge.status("u", is_running)
        assert time.monotonic() - before_s < HEALS_WITHIN_S
        assert status["containerStatuses"][0]["restartCount"] == 0
        assert _environment(fake)["COLOR"] == b"blue"


async def test_what_the_provider_did_not_tell_yet_heals_once_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object, and the Services of the pod's namespace; neither is guessed to be missing."""
    monkeypatch.setattr(container_environment, "PATIENCE_S", 0.05)
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(_pod(COLOR, enableServiceLinks=True))
        await _waits(
            edge, "services have not yet been read at least once, cannot construct envvars"
        )
        before_s = time.monotonic()
        services = ServicesPut(namespace="ns", services=[WEB], complete=True, revision="r")
        await edge.parts.stores.services.put(services)
        await _waits(edge, "failed to sync configmap cache: timed out waiting for the condition")
        await _tell(edge, "ConfigMap", "settings", {"color": "blue"})
        await edge.status("u", is_running)
        assert time.monotonic() - before_s < HEALS_WITHIN_S
        found = _environment(fake)
        assert (found["COLOR"], found["WEB_SERVICE_HOST"]) == (b"blue", b"10.0.0.7")


async def test_a_pod_that_waits_for_the_cloud_ends_at_once(tmp_path: Path) -> None:
    """Its end does not wait for what it asked for."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(_pod(COLOR))
        await fake.reached("RunPodSandbox", 1)
        # It waits for the object now, or soon.
        await until(lambda: bool(fake.called("ImageStatus")))
        before_s = time.monotonic()
        await edge.put(deleted(_pod(COLOR)), revision="r2")
        async with asyncio.timeout(container_environment.PATIENCE_S):
            await edge.gone("u")
        assert time.monotonic() - before_s < container_environment.PATIENCE_S / 2
        assert fake.called("CreateContainer") == []


async def test_variables_reach_the_container_and_its_command(tmp_path: Path) -> None:
    """A secret's bytes as they are; a command as far as it is text."""
    secret = base64.b64encode(b"\xffraw").decode()
    env = (
        COLOR,
        {"name": "RAW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    )
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await _tell(edge, "ConfigMap", "settings", {"color": "blue"})
        await _tell(edge, "Secret", "s", {"k": secret})
        await edge.put(_pod(*env, command=("paint", "$(COLOR)", "$$(POD)", "$(NOBODY)")))
        await edge.status("u", is_running)
        found = _environment(fake)
        assert (found["COLOR"], found["RAW"], found["POD"]) == (b"blue", b"\xffraw", b"p")
        (created,) = fake.called("CreateContainer")
        assert list(created.config.command) == ["paint", "blue", "$(POD)", "$(NOBODY)"]


async def test_a_command_that_is_no_text_is_refused_without_showing_it(tmp_path: Path) -> None:
    """The runtime takes UTF-8 alone; the pod goes on once the Secret is mended."""
    raw = {"name": "RAW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await _tell(edge, "Secret", "s", {"k": base64.b64encode(b"\xffhunter2").decode()})
        await edge.put(_pod(raw, command=("login", "$(RAW)")))
        await _waits(edge, "command or arguments refer to a variable whose value is not UTF-8")
        await _tell(edge, "Secret", "s", {"k": base64.b64encode(b"hunter3").decode()})
        await edge.status("u", is_running)
        (created,) = fake.called("CreateContainer")
        assert list(created.config.command) == ["login", "hunter3"]
        told = " ".join(each.message for each in edge.recorder.pending())
        assert "hunter" not in told


async def test_a_change_restarts_nothing(tmp_path: Path) -> None:
    """A running container keeps the environment that it was started with."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await _tell(edge, "ConfigMap", "settings", {"color": "blue"})
        await edge.put(_pod(COLOR))
        await edge.status("u", is_running)
        await _tell(edge, "ConfigMap", "settings", {"color": "red"})
        fake.exit_container(fake.container_named("c"), 0)
        await until(lambda: len(fake.called("CreateContainer")) == 2)
        first, second = (
            {each.key: each.value for each in call.config.envs}
            for call in fake.called("CreateContainer")
        )
        assert (first["COLOR"], second["COLOR"]) == (b"blue", b"red")
