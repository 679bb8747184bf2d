"""Last words of containers in what the PLEG and the pods' workers see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.logs.termination_message import message_path
from edge_runtime.objects.pod import PodUID
from tests.fakes.edge_pods import edge_pods, is_running, pod_json
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from pathlib import Path


async def test_termination_message_reaches_the_status(tmp_path: Path) -> None:
    """From the file that is mounted into the container."""
    uid = PodUID("u")
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        fake.add_image("busybox:1")
        await edge.put(pod_json(restartPolicy="Never"))
        await edge.status("u", is_running)
        request = fake.called("CreateContainer")[0]
        mounts = {each.container_path: each.host_path for each in request.config.mounts}
        path = message_path(edge.settings.pods_dir, uid, container_name="c", attempt=0)
        assert mounts["/dev/termination-log"] == str(path)
        assert mounts["/etc/hosts"] == str(edge.settings.pods_dir / "u/etc-hosts")
        path.write_text("out of paper")
        fake.exit_container(fake.container_named("c"), 3)
        status = await edge.status("u", lambda each: each["phase"] == "Failed")
    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (3, "out of paper")
