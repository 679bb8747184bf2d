"""What is not to go on is taken away, and seen to be gone, before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.edge_pods import edge_pods, is_running, pod_json
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from pathlib import Path

    from cri_protos import api_pb2 as pb
    from edge_runtime.objects.container import Json


class DyingFakeCri(FakeCri):
    """A runtime in which container "b" ends while "a" is stopped."""

    async def _StopContainer(self, request: pb.StopContainerRequest) -> pb.StopContainerResponse:
        answer = await super()._StopContainer(request)
        if self.containers[request.container_id].status.metadata.name == "a":
            self.exit_container(self.container_named("b"), 1)
        return answer


def _container(name: str, **fields: object) -> Json:
    return {"name": name, "image": "busybox:1", "imagePullPolicy": "Never", **fields}


async def test_container_that_ends_while_another_is_killed_restarts(tmp_path: Path) -> None:
    """The look that shows the one as stopped shows the end of the other, too."""
    pod = pod_json(containers=[_container("a"), _container("b")], restartPolicy="Always")
    async with DyingFakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        fake.add_image("busybox:2")
        await edge.put(pod)
        await edge.status("u", is_running)
        changed = pod_json(
            containers=[_container("a", image="busybox:2"), _container("b")],
            restartPolicy="Always",
        )
        await edge.put(changed, revision="r2")
        status = await edge.status("u", lambda each: is_running(each) and _restarts(each) == [1, 1])
    assert status["phase"] == "Running"


def _restarts(status: Json) -> list[int]:
    return [each["restartCount"] for each in status["containerStatuses"]]


async def test_lost_sandbox_is_made_anew(tmp_path: Path) -> None:
    """As after a reboot: new sandbox, new attempt, new address."""
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json())
        first = await edge.status("u", is_running)
        fake.stop_sandbox(next(iter(fake.sandboxes)))
        second = await edge.status(
            "u", lambda each: is_running(each) and each["podIP"] != first["podIP"]
        )
        assert second["containerStatuses"][0]["restartCount"] == 1
        attempts = [each.metadata.attempt for each in fake.sandboxes.values()]
        assert max(attempts) == 1
