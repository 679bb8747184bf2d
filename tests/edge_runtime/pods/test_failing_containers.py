"""Containers that cannot go on: killed in time, told of, restarted after their back-off.

Whole lives of pods, with real probes and hooks, over a fake runtime.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from cri_protos import api_pb2 as pb
from edge_runtime.pod_actions import crash_backoff
from tests.fakes.edge_pods import edge_pods, is_running, pod_json, running_ids, until
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.container import Json
    from tests.fakes.edge_pods import EdgePods
    from tests.fakes.fake_cri_calls import FakeContainer

# Longer than a probe needs to find a container wanting.
DELAY_S = 3.0
WHERE = "p_ns(u)"


@pytest.fixture(autouse=True)
def short_back_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three seconds instead of ten: the runtime behind the socket lives in real time."""
    monkeypatch.setattr(crash_backoff, "INITIAL_DELAY_S", DELAY_S)


class Commands:
    """What runs in containers: each command's output and exit code by its first word."""

    def __init__(self, fake: FakeCri, **results: tuple[bytes, int]) -> None:
        self.results = results
        self.ran: list[str] = []
        fake.exec = self._run

    async def _run(self, request: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
        self.ran.append(request.cmd[0])
        stdout, exit_code = self.results.get(request.cmd[0], (b"", 0))
        return pb.ExecSyncResponse(stdout=stdout, exit_code=exit_code)


def _pod(**fields: Any) -> Json:  # noqa: ANN401  # API JSON
    container = {"name": "c", "image": "busybox:1", "imagePullPolicy": "Never", **fields}
    return pod_json(containers=[container], restartPolicy="Always")


def _exec(word: str) -> Json:
    return {"exec": {"command": [word]}}


def _reason(status: Json) -> str:
    waiting = status["containerStatuses"][0]["state"].get("waiting") or {}
    return str(waiting.get("reason", ""))


async def _told(edge: EdgePods, *expected: tuple[str, str, str, int]) -> None:
    """Wait until the container's events are there: type, reason, message, how often.

    How often it is said that it waits depends on how often anybody looks meanwhile: 0 here.
    """

    def told() -> set[tuple[str, str, str, int]]:
        return {
            (
                each.event_type,
                each.reason,
                each.message,
                0 if each.reason == "BackOff" else each.count,
            )
            for each in edge.recorder.pending()
            if each.regarding["fieldPath"] == "spec.containers{c}"
        }

    with contextlib.suppress(TimeoutError):
        await until(lambda: told() >= set(expected))
    assert told() >= set(expected)


def _attempts(fake: FakeCri) -> list[FakeContainer]:
    """Return what is left of the container's attempts, oldest first."""
    return sorted(fake.containers.values(), key=lambda each: each.status.metadata.attempt)


def _pause_s(ended: FakeContainer, successor: FakeContainer) -> float:
    return (successor.status.created_at - ended.status.finished_at) / 1e9


async def test_container_that_does_not_live_is_killed_and_backed_off(tmp_path: Path) -> None:
    """With its preStop hook and the pod's grace period; twice at once, then after a pause."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        commands = Commands(fake, probe=(b"no pulse", 1))
        fields = {
            "livenessProbe": {**_exec("probe"), "periodSeconds": 1, "failureThreshold": 1},
            "lifecycle": {"preStop": _exec("bye")},
        }
        await edge.put(_pod(**fields))
        first = await edge.status("u", lambda each: each["phase"] == "Running")
        assert first["containerStatuses"][0]["restartCount"] == 0
        status = await edge.status("u", lambda each: _reason(each) == "CrashLoopBackOff")
        message = f"back-off 3s restarting failed container=c pod={WHERE}"
        assert status["containerStatuses"][0]["state"]["waiting"]["message"] == message
        assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137
        assert running_ids(fake) == []
        assert commands.ran.count("bye") == 3
        commands.results["probe"] = (b"", 0)
        await edge.status("u", is_running)
        stops = fake.called("StopContainer")
        # The hook took next to nothing of the five seconds.
        assert [each.timeout for each in stops] == [5, 5, 5]
        ended, successor = _attempts(fake)
        assert successor.status.metadata.attempt == 3
        assert _pause_s(ended, successor) >= DELAY_S
        await _told(
            edge,
            ("Normal", "Created", "Container created", 4),
            ("Normal", "Started", "Container started", 4),
            ("Warning", "Unhealthy", "Liveness probe failed: no pulse", 3),
            ("Normal", "Killing", "Container c failed liveness probe, will be restarted", 3),
            ("Warning", "BackOff", f"Back-off restarting failed container c in pod {WHERE}", 0),
        )


async def test_container_that_fails_its_probe_for_good_ends_its_pod(tmp_path: Path) -> None:
    """Where nothing is restarted the pod has failed, and all of it is stopped."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        Commands(fake, probe=(b"no pulse", 1))
        liveness = {**_exec("probe"), "periodSeconds": 1, "failureThreshold": 1}
        pod = _pod(livenessProbe=liveness)
        pod["spec"]["restartPolicy"] = "Never"
        await edge.put(pod)
        status = await edge.status("u", lambda each: each["phase"] == "Failed")
        assert status["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137
        assert status["containerStatuses"][0]["restartCount"] == 0
        assert len(fake.called("CreateContainer")) == 1
        await _told(edge, ("Normal", "Killing", "Stopping container c", 1))


async def test_container_whose_post_start_hook_fails_is_killed_and_backed_off(
    tmp_path: Path,
) -> None:
    """It never counts as running; its preStop hook runs; its words stay out of the events."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        commands = Commands(fake, hello=(b"the password is wrong", 3))
        lifecycle = {"postStart": _exec("hello"), "preStop": _exec("bye")}
        await edge.put(_pod(lifecycle=lifecycle))
        status = await edge.status("u", lambda each: _reason(each) == "PostStartHookError")
        failed = status["containerStatuses"][0]
        assert "command 'hello' exited with 3" in failed["state"]["waiting"]["message"]
        assert (failed["ready"], failed["started"]) == (False, False)
        # The first restart is immediate, the second is not.
        status = await edge.status("u", lambda each: _reason(each) == "CrashLoopBackOff")
        assert status["containerStatuses"][0]["restartCount"] == 1
        assert running_ids(fake) == []
        assert commands.ran == ["hello", "bye", "hello", "bye"]
        assert [each.timeout for each in fake.called("StopContainer")] == [5, 5]
        commands.results["hello"] = (b"", 0)
        status = await edge.status("u", is_running)
        assert status["containerStatuses"][0]["restartCount"] == 2
        ended, successor = _attempts(fake)
        assert _pause_s(ended, successor) >= DELAY_S
        await _told(
            edge,
            ("Normal", "Started", "Container started", 3),
            ("Warning", "FailedPostStartHook", "PostStartHook failed", 2),
            ("Normal", "Killing", "FailedPostStartHook", 2),
            ("Warning", "BackOff", f"Back-off restarting failed container c in pod {WHERE}", 0),
        )
        assert not [each for each in edge.recorder.pending() if "password" in each.message]


async def test_image_that_cannot_be_had_is_backed_off_soon(tmp_path: Path) -> None:
    """A kubelet looks again once it sees the new sandbox, and shows the back-off from then on."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        began_s = time.monotonic()
        await edge.put(_pod(image="r.io/none:1", imagePullPolicy="IfNotPresent"))
        await edge.status("u", lambda each: _reason(each) == "ErrImagePull")
        await edge.status("u", lambda each: _reason(each) == "ImagePullBackOff")
        assert time.monotonic() - began_s < 8
        assert len(fake.called("PullImage")) == 1
        assert len(fake.called("RunPodSandbox")) == 1
