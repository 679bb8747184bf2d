"""A pod whose containers all restart in place: its whole way, over a fake runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from cri_protos import api_pb2 as pb
from tests.fakes.edge_pods import edge_pods, is_running, pod_json, running_ids, until
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.fake_cri_calls import FakeContainer

Json = dict[str, Any]
RULE: Json = {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}


def _named(name: str, **fields: Any) -> Json:  # noqa: ANN401  # API JSON
    return {"name": name, "image": "busybox:1", "imagePullPolicy": "Never", **fields}


def _pod() -> Json:
    hook = {"preStop": {"exec": {"command": ["bye"]}}}
    return pod_json(
        restartPolicy="Never",
        initContainers=[_named("i")],
        containers=[
            _named("a", restartPolicy="Never", restartPolicyRules=[RULE]),
            _named("b", lifecycle=hook),
        ],
    )


def _is_up(fake: FakeCri, *names: str) -> bool:
    return {fake.containers[each].status.metadata.name for each in running_ids(fake)} == {*names}


def _newest(fake: FakeCri, name: str) -> FakeContainer:
    return fake.containers[fake.container_named(name)]


def _counts(status: Json) -> dict[str, int]:
    lists = ("initContainerStatuses", "containerStatuses")
    return {each["name"]: each["restartCount"] for key in lists for each in status[key]}


def _begun(status: Json) -> str:
    found = {each["type"]: each["status"] for each in status["conditions"]}
    return str(found["AllContainersRestarting"])


async def _start(fake: FakeCri) -> None:
    """Let the init container end well once it runs, and wait for the others."""
    await until(lambda: _is_up(fake, "i"))
    fake.exit_container(fake.container_named("i"), 0)
    await until(lambda: _is_up(fake, "a", "b"))


async def test_all_containers_are_removed_and_the_pod_begins_anew(tmp_path: Path) -> None:
    """Sources last, nobody's hook runs, one sandbox, every count goes up by one."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        hooks: list[str] = []

        async def run(request: pb.ExecSyncRequest) -> pb.ExecSyncResponse:
            hooks.append(request.cmd[0])
            return pb.ExecSyncResponse()

        fake.exec = run
        await edge.put(_pod())
        await _start(fake)
        ids = {name: fake.container_named(name) for name in ("i", "a", "b")}
        changes = edge.statuses.changed()
        fake.exit_container(ids["a"], 42)
        async for change in changes:
            if _begun(change.status) == "True":
                break
        await until(lambda: _is_up(fake, "i"))
        removed = [each.container_id for each in fake.called("RemoveContainer")]
        assert removed == [ids["b"], ids["i"], ids["a"]]
        status = await edge.status("u", lambda each: each["phase"] == "Pending")
        assert _begun(status) == "False"
        await _start(fake)
        status = await edge.status("u", lambda each: is_running(each))
        assert _counts(status) == {"i": 1, "a": 1, "b": 1}
        reasons = {
            each["lastState"]["terminated"]["reason"] for each in status["containerStatuses"]
        }
        assert reasons == {"RestartingAllContainers"}
        assert len(fake.sandboxes) == 1
        assert hooks == []
        killing = [each for each in edge.recorder.pending() if each.reason == "Killing"]
        assert [(each.message, each.regarding["fieldPath"]) for each in killing] == [
            ("killing", "spec.containers{b}")
        ]


async def test_only_the_newest_logs_are_kept(tmp_path: Path) -> None:
    """However often it happens: those of the attempt before stay for who collects them."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(_pod())
        for _ in range(3):
            await _start(fake)
            fake.exit_container(fake.container_named("a"), 42)
        await _start(fake)
        for name in ("i", "a", "b"):
            logs = sorted(each.name for each in _newest(fake, name).log_path.parent.iterdir())
            assert logs == ["2.log", "3.log"], name
        folder = edge.settings.container_logs_dir
        # The last link is made after the container that it is for runs.
        await until(lambda: len([*folder.iterdir()]) == 6)
        assert all(each.exists() for each in folder.iterdir())


async def test_reset_that_fails_half_way_goes_on(tmp_path: Path) -> None:
    """Also in another process: nothing starts before the last one is gone, nothing counts twice."""
    async with FakeCri(tmp_path) as fake:
        fake.add_image("busybox:1")
        async with edge_pods(tmp_path, fake) as edge:
            await edge.put(_pod())
            await _start(fake)
            fake.fail("RemoveContainer", grpc.StatusCode.UNKNOWN, "busy", times=1)
            fake.exit_container(fake.container_named("a"), 42)
            status = await edge.status("u", lambda each: _begun(each) == "True")
            assert status["phase"] == "Running"
            await until(lambda: len(fake.called("RemoveContainer")) == 1)
        assert running_ids(fake) == []
        async with edge_pods(tmp_path, fake) as edge:
            await _start(fake)
            status = await edge.status("u", lambda each: is_running(each))
            assert _counts(status) == {"i": 1, "a": 1, "b": 1}


async def test_end_during_a_reset_wins(tmp_path: Path) -> None:
    """A deleted pod starts nothing again."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(_pod())
        await _start(fake)
        release = fake.hold("StopContainer")
        created = len(fake.called("CreateContainer"))
        fake.exit_container(fake.container_named("a"), 42)
        await fake.reached("StopContainer", 1)
        pod = _pod()
        pod["metadata"] |= {
            "deletionTimestamp": "2026-01-01T00:00:00Z",
            "deletionGracePeriodSeconds": 1,
        }
        await edge.put(pod, revision="r2")
        release.set()
        await edge.gone("u")
        assert len(fake.called("CreateContainer")) == created
