"""What goes wrong while a pod's containers start leaves no pod waiting for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge_runtime.store.errors import StoreError
from edge_runtime.store.pull_record_store import PullRecordStore
from tests.fakes.edge_pods import edge_pods, is_running, pod_json
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


async def test_pull_that_the_disk_refuses_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also with a second container, whose image nobody has looked for by then."""
    names = ("a", "b")
    pod = pod_json(
        containers=[
            {"name": each, "image": f"{each}:1", "imagePullPolicy": "IfNotPresent"}
            for each in names
        ]
    )
    refusals = [StoreError("the disk is full")]
    add_intent = PullRecordStore.add_intent

    async def refuse_once(self: PullRecordStore, image: str) -> None:
        if refusals:
            raise refusals.pop()
        await add_intent(self, image)

    monkeypatch.setattr(PullRecordStore, "add_intent", refuse_once)
    async with FakeCri(tmp_path) as fake, edge_pods(tmp_path, fake) as edge:
        for each in names:
            fake.offer_image(f"{each}:1")
        await edge.put(pod)
        await edge.status("u", is_running)
    assert not refusals
