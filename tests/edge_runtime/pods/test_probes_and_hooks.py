"""Probes and hooks in whole lives of pods, over a fake runtime."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from cri_protos import api_pb2 as pb
from edge_runtime.objects.pod import PodUID
from tests.fakes.edge_pods import deleted, edge_pods, is_running, pod_json, running_ids, until
from tests.fakes.fake_cri import FakeCri
from tests.fakes.http_target import HttpTarget, answer, http_target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from edge_runtime.objects.container import Json

UID = PodUID("u")


def _container(**fields: Any) -> Json:  # noqa: ANN401  # API JSON
    return {"name": "c", "image": "busybox:1", "imagePullPolicy": "Never", **fields}


def _http_probe(target: HttpTarget, path: str, **fields: int) -> Json:
    action = {"port": target.port, "path": path, "host": "127.0.0.1"}
    return {"httpGet": action, "periodSeconds": 1, **fields}


def _is_ready(status: Json) -> bool:
    return any(
        each["type"] == "Ready" and each["status"] == "True" for each in status["conditions"]
    )


def _answering(
    answers: dict[str, int], asked: list[str] | None = None
) -> Callable[[pb.ExecSyncRequest], Awaitable[pb.ExecSyncResponse]]:
    """Return a runtime's commands: by first word, with their exit codes."""

    async def run(request: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
        if asked is not None:
            asked.append(request.cmd[0])
        return pb.ExecSyncResponse(exit_code=answers.get(request.cmd[0], 0))

    return run


async def test_a_pod_is_ready_once_its_probe_says_so(tmp_path: Path) -> None:
    """Not before, and no more after it failed."""
    async with (
        http_target({"/": answer(500)}) as target,
        FakeCri(tmp_path) as fake,
        edge_pods(tmp_path, fake) as edge,
    ):
        fake.add_image("busybox:1")
        probe = _http_probe(target, "/", failureThreshold=1)
        await edge.put(pod_json(containers=[_container(readinessProbe=probe)]))
        status = await edge.status("u", lambda each: each["phase"] == "Running")
        assert not _is_ready(status)
        target.answers["/"] = answer(200)
        status = await edge.status("u", is_running)
        assert status["containerStatuses"][0]["ready"] is True
        target.answers["/"] = answer(500)
        status = await edge.status("u", lambda each: not _is_ready(each))
        assert status["phase"] == "Running"


async def test_a_container_that_does_not_live_is_restarted(tmp_path: Path) -> None:
    """With the probe's own grace period."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        answers = {"live": 0}
        fake.exec = _answering(answers)
        probe = {
            "exec": {"command": ["live"]},
            "periodSeconds": 1,
            "failureThreshold": 1,
            "terminationGracePeriodSeconds": 3,
        }
        await edge.put(pod_json(containers=[_container(livenessProbe=probe)]))
        await edge.status("u", is_running)
        first = fake.container_named("c")
        answers["live"] = 1
        await until(lambda: len(fake.containers) == 2)
        answers["live"] = 0
        status = await edge.status(
            "u", lambda each: each["containerStatuses"][0]["restartCount"] == 1
        )
        assert fake.containers[first].stop_timeouts == [3]
        assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137


async def test_a_container_is_not_started_before_its_probe_says_so(tmp_path: Path) -> None:
    """Then its readiness is asked at once."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        answers, asked = {"up": 1}, list[str]()
        fake.exec = _answering(answers, asked)
        startup = {"exec": {"command": ["up"]}, "periodSeconds": 1, "failureThreshold": 99}
        ready = {"exec": {"command": ["ready"]}, "periodSeconds": 1}
        await edge.put(
            pod_json(containers=[_container(startupProbe=startup, readinessProbe=ready)])
        )
        status = await edge.status("u", lambda each: each["phase"] == "Running")
        assert status["containerStatuses"][0]["started"] is False
        await until(lambda: "up" in asked)
        assert "ready" not in asked
        answers["up"] = 0
        status = await edge.status("u", is_running)
        assert status["containerStatuses"][0]["started"] is True


async def test_a_failed_post_start_hook_kills_its_container(tmp_path: Path) -> None:
    """The reason and the hook's words are shown until it is tried again."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        fake.exec = _answering({"hook": 7})
        hook = {"postStart": {"exec": {"command": ["hook"]}}}
        await edge.put(pod_json(containers=[_container(lifecycle=hook)], restartPolicy="Always"))

        def reason(status: Json) -> str:
            state = status["containerStatuses"][0]["state"]
            return str(state.get("waiting", {}).get("reason", ""))

        status = await edge.status("u", lambda each: reason(each) == "PostStartHookError")
        waiting = status["containerStatuses"][0]["state"]["waiting"]
        assert waiting["message"] == (
            'Exec lifecycle hook ([hook]) for Container "c" in Pod "p_ns(u)" failed - '
            "error: command 'hook' exited with 7: , message: \"\""
        )
        await edge.status("u", lambda each: reason(each) == "CrashLoopBackOff")
        assert running_ids(fake) == []


async def test_a_pod_ends_with_its_hooks_and_its_sidecar_last(tmp_path: Path) -> None:
    """Hooks first, then the main container, then the sidecar."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        asked: list[str] = []
        fake.exec = _answering({}, asked)
        hook = {"preStop": {"exec": {"command": ["bye"]}}}
        sidecar = _container() | {"name": "side", "restartPolicy": "Always"}
        pod = pod_json(containers=[_container(lifecycle=hook)], initContainers=[sidecar])
        await edge.put(pod)
        await edge.status("u", is_running)
        names = {fake.container_named(name): name for name in ("c", "side")}
        await edge.put(deleted(pod, grace_period_s=20), revision="r2")
        await edge.gone("u")
        assert asked == ["bye"]
        stops = fake.called("StopContainer")
        assert [names[each.container_id] for each in stops] == ["c", "side"]


async def test_readiness_goes_on_while_a_pod_ends(tmp_path: Path) -> None:
    """It is unready as soon as its probe says so, however long its end takes."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        answers = {"ready": 0}
        released = asyncio.Event()

        async def run(request: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
            if request.cmd[0] == "bye":
                answers["ready"] = 1
                await released.wait()
            return pb.ExecSyncResponse(exit_code=answers.get(request.cmd[0], 0))

        fake.exec = run
        probe = {"exec": {"command": ["ready"]}, "periodSeconds": 1, "failureThreshold": 1}
        hook = {"preStop": {"exec": {"command": ["bye"]}}}
        pod = pod_json(containers=[_container(readinessProbe=probe, lifecycle=hook)])
        await edge.put(pod)
        await edge.status("u", is_running)
        await edge.put(deleted(pod, grace_period_s=60), revision="r2")
        status = await edge.status("u", lambda each: not _is_ready(each))
        assert status["phase"] == "Running"
        released.set()
        await edge.gone("u")


async def test_the_hook_of_a_vanished_pod_is_run_too(tmp_path: Path) -> None:
    """Its container remembers it."""
    asked: list[str] = []
    async with FakeCri(tmp_path) as fake:
        fake.add_image("busybox:1")
        fake.exec = _answering({}, asked)
        hook = {"preStop": {"exec": {"command": ["bye"]}}}
        async with edge_pods(tmp_path, fake) as edge:
            await edge.put(pod_json(containers=[_container(lifecycle=hook)]))
            await edge.status("u", is_running)
            await edge.parts.pods.forget(UID)
            await until(lambda: not fake.sandboxes)
    assert asked == ["bye"]


async def test_a_restarted_edge_does_not_make_a_pod_unready(tmp_path: Path) -> None:
    """What was known is kept until a probe says otherwise."""
    async with FakeCri(tmp_path) as fake:
        fake.add_image("busybox:1")
        fake.exec = _answering({})
        probe = {"exec": {"command": ["ready"]}, "periodSeconds": 1}
        pod = pod_json(containers=[_container(readinessProbe=probe)])
        async with edge_pods(tmp_path, fake) as edge:
            await edge.put(pod)
            await edge.status("u", is_running)
        container = fake.containers[fake.container_named("c")]
        container.status.started_at -= 60 * 10**9
        seen: list[bool] = []
        async with edge_pods(tmp_path, fake) as edge:
            for _ in range(20):
                status = edge.statuses.get(UID)
                if status is not None:
                    seen.append(_is_ready(status))
                await asyncio.sleep(0.02)
        assert all(seen)
        assert seen


async def test_container_does_not_count_as_running_while_its_hook_runs(tmp_path: Path) -> None:
    """Also where a probe of another one has its pod's status told meanwhile."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        answers, release = {"up": 1}, asyncio.Event()

        async def run(request: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
            if request.cmd[0] == "hook":
                await release.wait()
            return pb.ExecSyncResponse(exit_code=answers.get(request.cmd[0], 0))

        fake.exec = run
        startup = {"exec": {"command": ["up"]}, "periodSeconds": 1, "failureThreshold": 99}
        hooked = _container(lifecycle={"postStart": {"exec": {"command": ["hook"]}}})
        side = _container(startupProbe=startup) | {"name": "side", "restartPolicy": "Always"}

        def states(status: Json) -> dict[str, set[str]]:
            lists = ("initContainerStatuses", "containerStatuses")
            return {each["name"]: {*each["state"]} for key in lists for each in status[key]}

        await edge.put(pod_json(containers=[hooked], initContainers=[side]))
        await edge.status("u", lambda each: states(each)["side"] == {"running"})
        answers["up"] = 0
        await until(lambda: any(each.cmd[0] == "hook" for each in fake.called("ExecSync")))
        assert len(running_ids(fake)) == 2
        # Whatever makes the status be told: here as if the sidecar's probe changed its mind.
        edge.workers.probed(UID)
        status = edge.statuses.get(UID)
        assert status is not None
        assert states(status) == {"side": {"running"}, "c": {"waiting"}}
        assert status["phase"] == "Pending"
        release.set()
        status = await edge.status("u", is_running)
        assert states(status) == {"side": {"running"}, "c": {"running"}}
