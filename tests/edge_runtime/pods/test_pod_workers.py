"""Whole lives of pods over a fake runtime: start, crash, end, restart of the edge."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import grpc

from edge_runtime.objects.pod import PodUID
from edge_runtime.pods.pod_work import WorkState
from edge_runtime.policy.edge_policy import EdgePolicy
from edge_runtime.policy_config import Forbiddable
from tests.fakes.edge_pods import (
    deleted,
    edge_pods,
    is_running,
    pod_json,
    running_ids,
    until,
)
from tests.fakes.fake_cri import FakeCri
from tunnel.sync import PodGone

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.objects.container import Json

UID = PodUID("u")


def _state(status: Json, name: str = "c") -> Json:
    found = next(each for each in status["containerStatuses"] if each["name"] == name)
    state: Json = found["state"]
    return state


def _reason(status: Json, name: str = "c") -> str:
    return str(_state(status, name).get("waiting", {}).get("reason", ""))


async def test_pod_runs_and_its_status_says_so(tmp_path: Path) -> None:
    """From PodPut to Running and Ready, with every field that is shown."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        assert await edge.put(pod_json()) is None
        status = await edge.status("u", is_running)
        container = status["containerStatuses"][0]
        assert container["containerID"] == f"containerd://{fake.container_named('c')}"
        assert container["restartCount"] == 0
        assert container["started"] is True
        assert status["hostIPs"] == [{"ip": "192.0.2.1"}]
        assert status["podIPs"] == [{"ip": status["podIP"]}]
        assert (status["qosClass"], status["observedGeneration"]) == ("BestEffort", 1)
        config = fake.sandbox_configs[next(iter(fake.sandboxes))]
        assert config.linux.cgroup_parent.endswith("/kubepods/besteffort/podu")
        assert list(config.dns_config.servers) == ["10.96.0.10"]
        assert len(list((tmp_path / "containers").iterdir())) == 1
        assert edge.manager.revisions() == {"u": "r1"}


async def test_deletion_of_an_unknown_pod_is_answered_at_once(tmp_path: Path) -> None:
    """A tombstone, so that it is never started, and no start."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        gone = PodGone(uid="u", sequence=0)
        assert await edge.put(deleted(pod_json())) == gone
        assert await edge.put(pod_json()) == gone
        assert edge.manager.gone() == [gone]
        assert not fake.called("RunPodSandbox")


async def test_crashed_container_restarts_at_once_then_backs_off(tmp_path: Path) -> None:
    """The second crash waits for ten seconds, and says so."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json())
        await edge.status("u", is_running)
        fake.exit_container(fake.container_named("c"), 3)
        status = await edge.status(
            "u", lambda each: is_running(each) and each["containerStatuses"][0]["restartCount"] == 1
        )
        assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 3
        fake.exit_container(fake.container_named("c"), 4)
        status = await edge.status("u", lambda each: _reason(each) == "CrashLoopBackOff")
        message = _state(status)["waiting"]["message"]
        assert message == "back-off 10s restarting failed container=c pod=p_ns(u)"
        assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 4
        assert status["phase"] == "Running"
        await until(lambda: len(fake.containers) == 1)  # the older dead one is not kept


async def test_missing_image_waits_with_the_kubelets_reason(tmp_path: Path) -> None:
    """And starts once it is there, without a new PodPut."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        await edge.put(pod_json())
        status = await edge.status("u", lambda each: _reason(each) == "ErrImageNeverPull")
        assert status["phase"] == "Pending"
        fake.add_image("busybox:1")
        edge.workers.wake(UID)
        await edge.status("u", is_running)
        assert len(fake.called("RunPodSandbox")) == 1


async def test_unsupported_pod_is_never_started(tmp_path: Path) -> None:
    """It waits, names the field, and can be deleted."""
    claims = pod_json(resourceClaims=[{"name": "gpu"}])
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        await edge.put(claims)
        status = await edge.status("u", lambda each: _reason(each) == "UnsupportedByEdgelet")
        message = "this edgelet does not support spec.resourceClaims yet"
        assert _state(status)["waiting"]["message"] == message
        assert status["phase"] == "Pending"
        await until(lambda: bool(edge.recorder.pending()))
        assert edge.recorder.pending()[0].message == message
        await edge.put(deleted(claims), revision="r2")
        await edge.gone("u")
        assert not fake.called("RunPodSandbox")


FORBIDS_PRIVILEGED = EdgePolicy(forbidden=frozenset({Forbiddable.PRIVILEGED}))
PRIVILEGED = pod_json(
    containers=[{"name": "c", "image": "busybox:1", "securityContext": {"privileged": True}}]
)
REJECTED = (
    "the policy of this edge forbids privileged containers "
    "(spec.containers[c].securityContext.privileged)"
)


async def test_forbidden_pod_fails_without_having_run(tmp_path: Path) -> None:
    """As a kubelet's admission rejects it; its event says why, and it can be deleted."""
    policy = FORBIDS_PRIVILEGED
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake, policy=policy) as edge:
        await edge.put(PRIVILEGED)
        status = await edge.status("u", lambda each: each["phase"] == "Failed")
        assert status["reason"] == "ForbiddenByEdgePolicy"
        assert status["message"] == f"Pod was rejected: {REJECTED}"
        assert not status.get("containerStatuses")
        # There is nothing that could be ready or not.
        assert status["conditions"] == []
        await until(lambda: bool(edge.recorder.pending()))
        (event,) = edge.recorder.pending()
        assert (event.event_type, event.reason) == ("Warning", "ForbiddenByEdgePolicy")
        assert event.message == REJECTED
        await until(lambda: edge.workers.state(UID) is WorkState.TERMINATED)
        body = edge.statuses.body(UID)
        assert body is not None
        assert body.status == status
        await edge.put(deleted(PRIVILEGED), revision="r2")
        await edge.gone("u")
        assert not fake.called("RunPodSandbox")
        assert not fake.called("PullImage")


async def test_forbidden_pod_stays_failed_whatever_the_cloud_says(tmp_path: Path) -> None:
    """Sent again, sent with a status that runs, and after a restart of the edge."""
    insisting = PRIVILEGED | {"status": {"phase": "Running"}}
    policy = FORBIDS_PRIVILEGED
    async with FakeCri(tmp_path) as fake:
        for revision in ("r1", "r2"):
            async with edge_pods(tmp_path, fake, policy=policy) as edge:
                await edge.put(insisting, revision=revision)
                await edge.status("u", lambda each: each["phase"] == "Failed")
                await edge.put(insisting, revision=f"{revision}-again")
                await until(lambda: edge.workers.state(UID) is WorkState.TERMINATED)
                body = edge.statuses.body(UID)
                assert body is not None
                assert body.status["reason"] == "ForbiddenByEdgePolicy"
        assert not fake.called("RunPodSandbox")


async def test_pod_that_ran_before_it_was_forbidden_is_stopped(tmp_path: Path) -> None:
    """Its containers' real ends are told with the reason."""
    async with FakeCri(tmp_path) as fake:
        fake.add_image("busybox:1")
        async with edge_pods(tmp_path, fake) as edge:
            await edge.put(PRIVILEGED)
            await edge.status("u", is_running)
        async with edge_pods(tmp_path, fake, policy=FORBIDS_PRIVILEGED) as edge:
            status = await edge.status("u", lambda each: "terminated" in _state(each))
            assert (status["phase"], status["reason"]) == ("Failed", "ForbiddenByEdgePolicy")
            assert status["message"] == f"Pod was rejected: {REJECTED}"
            assert running_ids(fake) == []


async def test_failed_sandbox_is_told_and_tried_again(tmp_path: Path) -> None:
    """With the kubelet's event."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        fake.fail("RunPodSandbox", grpc.StatusCode.UNKNOWN, "no network")
        await edge.put(pod_json())
        message = "Failed to create pod sandbox: rpc error: code = Unknown desc = no network"
        await until(
            lambda: any(
                (each.reason, each.message) == ("FailedCreatePodSandBox", message)
                for each in edge.recorder.pending()
            )
        )
        edge.workers.wake(UID)
        await edge.status("u", is_running)


async def test_restart_of_the_edge_adopts_what_runs(tmp_path: Path) -> None:
    """Same container, restart count 0, no event, no change of status."""
    async with FakeCri(tmp_path) as fake:
        fake.add_image("busybox:1")
        async with edge_pods(tmp_path, fake) as edge:
            await edge.put(pod_json())
            before = await edge.status("u", is_running)
        ids = running_ids(fake)
        fake.calls.clear()
        async with edge_pods(tmp_path, fake) as edge:
            await until(lambda: edge.pleg.is_known(UID) and edge.workers.is_known(UID))
            edge.workers.wake(UID)
            await asyncio.sleep(0.2)
            body = edge.statuses.body(UID)
            assert body is not None
            assert body.status == before
            assert edge.manager.revisions() == {"u": "r1"}
        assert running_ids(fake) == ids
        assert not fake.called("RunPodSandbox")
        assert not fake.called("CreateContainer")


async def test_terminal_pod_is_not_run_again_by_a_new_process(tmp_path: Path) -> None:
    """Even if the runtime forgot that it ever ran."""
    async with FakeCri(tmp_path) as fake:
        fake.add_image("busybox:1")
        async with edge_pods(tmp_path, fake) as edge:
            await edge.put(pod_json(restartPolicy="Never"))
            await edge.status("u", is_running)
            fake.exit_container(fake.container_named("c"), 0)
            await edge.status("u", lambda each: each["phase"] == "Succeeded")
            await until(lambda: edge.workers.state(UID) is WorkState.TERMINATED)
        fake.containers.clear()
        fake.sandboxes.clear()
        fake.calls.clear()
        async with edge_pods(tmp_path, fake) as edge:
            await until(lambda: edge.workers.state(UID) is WorkState.TERMINATED)
        assert not fake.called("RunPodSandbox")


async def test_absence_from_a_complete_list_stops_and_forgets(tmp_path: Path) -> None:
    """Fast, and nobody is told; others stay."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json())
        await edge.put(pod_json("q", "v"))
        await edge.status("u", is_running)
        await edge.status("v", is_running)
        await edge.manager.desired([PodUID("v")])
        await until(lambda: edge.statuses.body(UID) is None)
        await until(lambda: not edge.workers.is_known(UID))
        assert edge.manager.gone() == []
        assert [each.name for each in edge.manager.list()] == ["q"]
        assert len(running_ids(fake)) == 1
        stopped = fake.called("StopContainer")
        assert [each.timeout for each in stopped] == [2]


async def test_unknown_pods_in_the_runtime_wait_for_a_complete_list(tmp_path: Path) -> None:
    """A lost database deletes nothing until the cloud said what is desired."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    async with FakeCri(tmp_path) as fake:
        fake.add_image("busybox:1")
        async with edge_pods(tmp_path / "a", fake) as edge:
            await edge.put(pod_json())
            await edge.status("u", is_running)
        async with edge_pods(tmp_path / "b", fake) as edge:
            await until(lambda: UID in edge.cache.uids())
            await edge.manager.desired([])
            await until(lambda: not fake.sandboxes)
            assert not fake.containers


async def test_new_uid_starts_after_the_old_one_stopped(tmp_path: Path) -> None:
    """Two pods of one name never run at the same time."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json())
        await edge.status("u", is_running)
        released = fake.hold("StopContainer")
        await edge.put(pod_json("p", "new"))
        found = edge.manager.get("ns", "p")
        assert found is not None
        assert found.uid == "new"
        await until(lambda: bool(fake.called("StopContainer")))
        await edge.status("new", lambda each: each["phase"] == "Pending")
        assert len(fake.called("RunPodSandbox")) == 1
        released.set()
        await edge.status("new", is_running)


async def test_one_pods_trouble_hurts_no_other(tmp_path: Path) -> None:
    """A pod whose log folder cannot be made, beside one that runs."""
    (tmp_path / "pods").mkdir()
    (tmp_path / "pods" / "ns_p_u").write_text("in the way")
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json())
        await edge.put(pod_json("q", "v"))
        await edge.status("v", is_running)
        (tmp_path / "pods" / "ns_p_u").unlink()
        await edge.status("u", is_running)


async def test_runtime_that_went_away_costs_no_pod(tmp_path: Path) -> None:
    """Silence is no death: same container once it answers again."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json())
        await edge.status("u", is_running)
        ids = running_ids(fake)
        for method in ("ListContainers", "ListPodSandbox"):
            fake.fail(method, grpc.StatusCode.UNAVAILABLE, "restarting", times=5)
        edge.workers.wake(UID)
        await asyncio.sleep(0.5)
        assert running_ids(fake) == ids
        body = edge.statuses.body(UID)
        assert body is not None
        assert is_running(body.status)


async def test_orphan_of_which_only_a_container_is_left_leaves_no_logs(tmp_path: Path) -> None:
    """Its name is on the container as well."""
    async with FakeCri(tmp_path) as fake:
        fake.add_image("busybox:1")
        async with edge_pods(tmp_path, fake) as edge:
            await edge.put(pod_json())
            await edge.status("u", is_running)
            assert (tmp_path / "pods/ns_p_u").is_dir()
            fake.sandboxes.clear()
            fake.exit_container(fake.container_named("c"), 1)
            status = await edge.pleg.refresh(UID)
    assert (status.name, status.namespace, status.sandboxes) == ("p", "ns", ())
