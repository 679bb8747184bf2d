"""Syncs: of pods that an earlier version of the edge ran, and of pods that change meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge_runtime.objects.pod import PodUID
from tests.fakes.edge_pods import edge_pods, is_running, pod_json, running_ids
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from pathlib import Path

    from cri_protos import api_pb2 as pb
    from edge_runtime.objects.container import Json

UID = PodUID("u")


class FastFakeCri(FakeCri):
    """A runtime whose containers have ended by the time that their start is answered."""

    async def _StartContainer(self, request: pb.StartContainerRequest) -> pb.StartContainerResponse:
        answer = await super()._StartContainer(request)
        self.exit_container(request.container_id, 0)
        return answer


async def test_update_of_the_edge_restarts_and_rejects_nothing(tmp_path: Path) -> None:
    """What an earlier version ran goes on: with its probes, without its admission or its hook."""
    container = {
        "name": "c",
        "image": "busybox:1",
        "imagePullPolicy": "Never",
        "lifecycle": {"postStart": {"exec": {"command": ["hook"]}}},
        "readinessProbe": {"exec": {"command": ["ready"]}, "periodSeconds": 1},
    }
    async with FakeCri(tmp_path) as fake:
        fake.add_image("busybox:1")
        async with edge_pods(tmp_path, fake) as edge:
            await edge.put(pod_json(containers=[container]))
            before = await edge.status("u", is_running)
            ids = running_ids(fake)
            # As the first version left it: it asked nothing of the Node, and kept no answer.
            await edge.database.run(lambda c: c.execute("DELETE FROM allocations").rowcount)
            pod = pod_json(containers=[container], nodeSelector={"no": "such"})
            body = msgspec.json.encode(pod)
            await edge.database.write("UPDATE pods SET pod = ?", [(body,)])
        fake.calls.clear()
        async with edge_pods(tmp_path, fake) as edge:
            await fake.reached("ExecSync", 2)
            status = edge.statuses.get(UID)
        asked = {request.cmd[0] for request in fake.called("ExecSync")}
        assert asked == {"ready"}
        assert status == before
        assert running_ids(fake) == ids


def _container(name: str, **fields: object) -> Json:
    return {"name": name, "image": "busybox:1", "imagePullPolicy": "Never", **fields}


async def test_containers_that_end_at_once_are_not_waited_for(tmp_path: Path) -> None:
    """Nobody else tells of an end that the worker itself saw first."""
    pod = pod_json(
        initContainers=[_container("first"), _container("second")],
        containers=[_container("c")],
        restartPolicy="Never",
    )
    async with FastFakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod)
        await edge.status("u", lambda each: each["phase"] == "Succeeded")
    assert len(fake.called("CreateContainer")) == 3
