"""ImageManager against a runtime that speaks CRI."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest

from cri_protos import api_pb2 as pb
from edge_runtime.images.image_manager import (
    MAX_PARALLEL_PULLS,
    ImageError,
    ImageManager,
    format_duration,
)
from edge_runtime.objects.container import Container
from edge_runtime.objects.pod import Pod
from edge_runtime.objects.runtime_config import ResolvedImage
from edge_runtime.runtime.cri_client import CriClient
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Site:
    """An image manager with its runtime, its clock and what it told."""

    def __init__(self, fake: FakeCri, cri: CriClient) -> None:
        self.fake = fake
        self.now = 0.0
        self.events: list[tuple[str, str, str, str]] = []
        self.images = ImageManager(cri, record=self.record, monotonic=lambda: self.now)

    def record(
        self, pod: Pod, *, event_type: str, reason: str, message: str, container_name: str = ""
    ) -> None:
        """Take an event."""
        assert pod.name == "p"
        self.events.append((event_type, reason, message, container_name))

    async def ensure(self, image: str, policy: str = "IfNotPresent") -> ResolvedImage:
        """Ask for an image as a container of a pod."""
        pod = Pod({"metadata": {"name": "p", "uid": "u"}, "spec": {}})
        container = Container({"name": "c", "image": image, "imagePullPolicy": policy})
        return await self.images.ensure_image(pod, container)

    def told(self) -> list[tuple[str, str, str, str]]:
        """Return the events since the last look."""
        told, self.events = self.events, []
        return told


@asynccontextmanager
async def running_site(folder: Path) -> AsyncIterator[Site]:
    """A runtime without images."""
    async with FakeCri(folder) as fake, CriClient(fake.endpoint) as cri:
        yield Site(fake, cri)


async def test_a_present_image_is_used(tmp_path: Path) -> None:
    """With its user, which the container gets if nobody says otherwise."""
    async with running_site(tmp_path) as site:
        image = site.fake.add_image("busybox:latest", uid=pb.Int64Value(value=0), username="")
        assert await site.ensure("busybox") == ResolvedImage(ref=image.id, uid=0)
        assert site.told() == [
            ("Normal", "Pulled", 'Container image "busybox" already present on machine', "c")
        ]
        assert site.fake.called("PullImage") == []


async def test_a_missing_image_is_pulled(tmp_path: Path) -> None:
    """Pulling, Pulled, and the resolved reference."""
    async with running_site(tmp_path) as site:
        image = site.fake.offer_image("r.io/x:1", size=2048)
        assert (await site.ensure("r.io/x:1")).ref == image.id
        assert site.told() == [
            ("Normal", "Pulling", 'Pulling image "r.io/x:1"', "c"),
            (
                "Normal",
                "Pulled",
                'Successfully pulled image "r.io/x:1" in 0s (0s including waiting). '
                "Image size: 2048 bytes.",
                "c",
            ),
        ]


async def test_always_pulls_although_it_is_there(tmp_path: Path) -> None:
    """The registry decides what the tag is."""
    async with running_site(tmp_path) as site:
        site.fake.add_image("x:latest")
        site.fake.offer_image("x:latest")
        await site.ensure("x", "Always")
        assert len(site.fake.called("PullImage")) == 1


async def test_never_means_never(tmp_path: Path) -> None:
    """The kubelet's reason and message."""
    async with running_site(tmp_path) as site:
        site.fake.offer_image("x:latest")
        with pytest.raises(ImageError) as refused:
            await site.ensure("x", "Never")
        message = 'Container image "x" is not present with pull policy of Never'
        assert (refused.value.reason, refused.value.message) == ("ErrImageNeverPull", message)
        assert site.told() == [
            ("Warning", "ErrImageNeverPull", message, "c"),
            ("Warning", "Failed", "Error: ErrImageNeverPull", "c"),
        ]
        assert site.fake.called("PullImage") == []


async def test_a_failed_pull_is_told_and_not_repeated_at_once(tmp_path: Path) -> None:
    """ErrImagePull, then ImagePullBackOff with the last error, then another attempt."""
    async with running_site(tmp_path) as site:
        with pytest.raises(ImageError) as first:
            await site.ensure("x:1")
        text = 'failed to pull and unpack image "x:1": not found'
        assert (first.value.reason, first.value.message) == ("ErrImagePull", text)
        assert site.told() == [
            ("Normal", "Pulling", 'Pulling image "x:1"', "c"),
            ("Warning", "Failed", f'Failed to pull image "x:1": {text}', "c"),
            ("Warning", "Failed", "Error: ErrImagePull", "c"),
        ]

        site.now = 9.9
        with pytest.raises(ImageError) as second:
            await site.ensure("x:1")
        assert second.value.reason == "ImagePullBackOff"
        assert second.value.message == f'Back-off pulling image "x:1": ErrImagePull: {text}'
        assert site.told() == [
            ("Normal", "BackOff", 'Back-off pulling image "x:1"', "c"),
            ("Warning", "Failed", "Error: ImagePullBackOff", "c"),
        ]

        site.now = 10.0
        site.fake.offer_image("x:1")
        await site.ensure("x:1")
        assert len(site.fake.called("PullImage")) == 2


async def test_no_name_at_all(tmp_path: Path) -> None:
    """InvalidImageName, and the runtime is not asked."""
    async with running_site(tmp_path) as site:
        with pytest.raises(ImageError) as refused:
            await site.ensure("UPPER")
        assert refused.value.reason == "InvalidImageName"
        assert refused.value.message == (
            'Failed to apply default image tag "UPPER": couldn\'t parse image name "UPPER": '
            "invalid reference format: repository name (library/UPPER) must be lowercase"
        )
        assert site.fake.calls == []


async def test_a_runtime_that_cannot_tell(tmp_path: Path) -> None:
    """ImageInspectError; nothing is pulled on a guess."""
    async with running_site(tmp_path) as site:
        site.fake.fail("ImageStatus", grpc.StatusCode.INTERNAL, "broken store")
        with pytest.raises(ImageError) as refused:
            await site.ensure("x:1")
        assert refused.value.reason == "ImageInspectError"
        assert refused.value.message == 'Failed to inspect image "x:1": broken store'
        assert site.fake.called("PullImage") == []


async def test_pulls_wait_for_their_turn(tmp_path: Path) -> None:
    """So many at once, and no more; all are served in the end."""
    async with running_site(tmp_path) as site:
        released = site.fake.hold("PullImage")
        names = [f"i{number}:1" for number in range(MAX_PARALLEL_PULLS + 2)]
        for name in names:
            site.fake.offer_image(name)
        async with asyncio.TaskGroup() as group:
            pulls = [group.create_task(site.ensure(name)) for name in names]
            async with asyncio.timeout(5):
                await site.fake.reached("PullImage", MAX_PARALLEL_PULLS)
            released.set()
        assert all(pull.result().ref for pull in pulls)
        assert site.fake.most_at_once["PullImage"] == MAX_PARALLEL_PULLS


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0009, "0s"),
        (0.345, "345ms"),
        (1.2, "1.2s"),
        (10, "10s"),
        (62.5, "1m2.5s"),
        (3600, "1h0m0s"),
    ],
)
def test_durations_as_go_writes_them(seconds: float, text: str) -> None:
    """Cut to milliseconds."""
    assert format_duration(seconds) == text
