"""ImageManager against a runtime that speaks CRI."""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest

from cri_protos import api_pb2 as pb
from edge_runtime.images.image_manager import ImageError, ImageManager, format_duration
from edge_runtime.images.image_pull_manager import ImagePullManager
from edge_runtime.images.image_puller import DEFAULT_PARALLEL_PULLS, ImagePuller
from edge_runtime.images.pull_secrets import PullSecrets
from edge_runtime.images.pull_verification import Verification
from edge_runtime.objects.container import Container
from edge_runtime.objects.pod import Pod
from edge_runtime.objects.runtime_config import ResolvedImage
from edge_runtime.runtime.cri_client import CriClient
from edge_runtime.store.database import Database
from edge_runtime.store.object_store import ObjectStore
from edge_runtime.store.pull_record_store import PullRecordStore
from tests.fakes.fake_cri import FakeCri
from tunnel.sync import ObjectPut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from edge_runtime.objects.container import Json


def pull_secret(name: str, password: str, *, uid: str = "s") -> Json:
    """Return a Secret with credentials for r.io."""
    config = json.dumps({"auths": {"r.io": {"username": "me", "password": password}}})
    return {
        "metadata": {"namespace": "ns", "name": name, "uid": uid},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(config.encode()).decode()},
    }


class Site:
    """An image manager with its runtime, its clock and what it told."""

    def __init__(self, fake: FakeCri, cri: CriClient, database: Database) -> None:
        self.fake = fake
        self.now = 0.0
        self.events: list[tuple[str, str, str, str]] = []
        self.objects = ObjectStore(database)
        self.records = PullRecordStore(database)
        self.pulls = ImagePullManager(self.records, runtime=cri, verification=Verification())
        self.images = ImageManager(
            cri,
            puller=ImagePuller(cri, monotonic=lambda: self.now),
            pulls=self.pulls,
            secrets=PullSecrets(self.objects),
            record=self.record,
            monotonic=lambda: self.now,
        )

    def record(
        self, pod: Pod, *, event_type: str, reason: str, message: str, container_name: str = ""
    ) -> None:
        """Take an event."""
        assert pod.name == "p"
        self.events.append((event_type, reason, message, container_name))

    async def put_secret(self, name: str, password: str | None, *, uid: str = "s") -> None:
        """Bring a pull secret for r.io, or tell that there is none."""
        secret = None if password is None else pull_secret(name, password, uid=uid)
        await self.objects.put(
            ObjectPut(kind="Secret", namespace="ns", name=name, revision="r", object=secret)
        )

    async def ensure(
        self, image: str, policy: str = "IfNotPresent", *, secrets: Sequence[str] = ()
    ) -> ResolvedImage:
        """Ask for an image as a container of a pod."""
        references = [{"name": name} for name in secrets]
        metadata = {"name": "p", "uid": "u", "namespace": "ns"}
        pod = Pod({"metadata": metadata, "spec": {"imagePullSecrets": references}})
        container = Container({"name": "c", "image": image, "imagePullPolicy": policy})
        return await self.images.ensure_image(pod, container)

    def told(self) -> list[tuple[str, str, str, str]]:
        """Return the events since the last look."""
        told, self.events = self.events, []
        return told


@asynccontextmanager
async def running_site(folder: Path) -> AsyncIterator[Site]:
    """A runtime without images."""
    database = Database(folder / "edgelet.db")
    try:
        async with FakeCri(folder) as fake, CriClient(fake.endpoint) as cri:
            site = Site(fake, cri, database)
            await site.records.load()
            yield site
    finally:
        database.close()


async def test_a_present_image_is_used(tmp_path: Path) -> None:
    """With its user, which the container gets if nobody says otherwise."""
    async with running_site(tmp_path) as site:
        image = site.fake.add_image("busybox:latest", uid=pb.Int64Value(value=0), username="")
        assert await site.ensure("busybox") == ResolvedImage(ref=image.id, uid=0)
        assert site.told() == [
            (
                "Normal",
                "Pulled",
                'Container image "busybox" already present on machine '
                "and can be accessed by the pod",
                "c",
            )
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
        names = [f"i{number}:1" for number in range(DEFAULT_PARALLEL_PULLS + 2)]
        for name in names:
            site.fake.offer_image(name)
        async with asyncio.TaskGroup() as group:
            pulls = [group.create_task(site.ensure(name)) for name in names]
            async with asyncio.timeout(5):
                await site.fake.reached("PullImage", DEFAULT_PARALLEL_PULLS)
            released.set()
        assert all(pull.result().ref for pull in pulls)
        assert site.fake.most_at_once["PullImage"] == DEFAULT_PARALLEL_PULLS


async def test_pull_secrets_are_tried_in_turn(tmp_path: Path) -> None:
    """The most specific first; all texts in one error, each once."""
    async with running_site(tmp_path) as site:
        await site.put_secret("a", "wrong")
        await site.put_secret("b", "right", uid="t")
        site.fake.offer_image("r.io/x:1")
        site.fake.fail("PullImage", grpc.StatusCode.UNKNOWN, "no auth")
        await site.ensure("r.io/x:1", secrets=["a", "b"])
        tried = [each.auth.password for each in site.fake.called("PullImage")]
        site.fake.fail("PullImage", grpc.StatusCode.UNKNOWN, "no auth", times=2)
        with pytest.raises(ImageError) as same:
            await site.ensure("r.io/y:1", secrets=["a", "b"])
        site.fake.fail("PullImage", grpc.StatusCode.UNKNOWN, "no auth")
        with pytest.raises(ImageError) as different:
            await site.ensure("r.io/z:1", secrets=["a", "b"])
    assert tried == ["wrong", "right"]
    assert same.value.message == "no auth"
    assert different.value.message == (
        '[no auth, failed to pull and unpack image "r.io/z:1": not found]'
    )


async def test_code_that_says_something_is_told(tmp_path: Path) -> None:
    """As a kubelet writes the runtime's errors."""
    async with running_site(tmp_path) as site:
        site.fake.fail("PullImage", grpc.StatusCode.NOT_FOUND, "x: not found")
        with pytest.raises(ImageError) as refused:
            await site.ensure("x:1")
        assert refused.value.message == "rpc error: code = NotFound desc = x: not found"


async def test_missing_pull_secret_is_told_and_the_pull_tried(tmp_path: Path) -> None:
    """As a kubelet's warning has it; names that are empty count for nothing."""
    async with running_site(tmp_path) as site:
        await site.put_secret("a", None)
        await site.put_secret("b", "x")
        await site.put_secret("c", None)
        site.fake.offer_image("x:1")
        await site.ensure("x:1", secrets=["a", "", "b", "c"])
        assert site.told()[0] == (
            "Warning",
            "FailedToRetrieveImagePullSecret",
            "Unable to retrieve some image pull secrets (a, c); "
            "attempting to pull the image may not succeed.",
            "",
        )


async def test_unreadable_pull_secret_says_nothing_of_itself(tmp_path: Path) -> None:
    """Its name alone."""
    async with running_site(tmp_path) as site:
        secret = pull_secret("a", "x")
        secret["data"] = {".dockerconfigjson": base64.b64encode(b"{secret").decode()}
        await site.objects.put(
            ObjectPut(kind="Secret", namespace="ns", name="a", revision="r", object=secret)
        )
        with pytest.raises(ImageError) as refused:
            await site.ensure("x:1", secrets=["a"])
    assert refused.value.reason == "ErrImagePull"
    assert refused.value.message == "pull secret ns/a is no valid .dockerconfigjson"


async def test_image_of_one_pod_is_not_anothers(tmp_path: Path) -> None:
    """IfNotPresent asks the registry, Never does not tell that it is there."""
    async with running_site(tmp_path) as site:
        await site.put_secret("a", "right")
        site.fake.offer_image("r.io/x:1")
        await site.ensure("r.io/x:1", secrets=["a"])
        site.told()
        with pytest.raises(ImageError) as never:
            await site.ensure("r.io/x:1", "Never")
        site.fake.fail("PullImage", grpc.StatusCode.UNKNOWN, "401 Unauthorized")
        with pytest.raises(ImageError) as without:
            await site.ensure("r.io/x:1")
        await site.ensure("r.io/x:1", "Never", secrets=["a"])
        pulls = len(site.fake.called("PullImage"))
    assert never.value.reason == "ErrImageNeverPull"
    assert never.value.message == (
        'Container image "r.io/x:1" is not present with pull policy of Never'
    )
    assert (without.value.reason, without.value.message) == ("ErrImagePull", "401 Unauthorized")
    assert pulls == 2


async def test_same_credentials_in_another_secret_are_as_good(tmp_path: Path) -> None:
    """And the same Secret with new credentials; both are remembered."""
    async with running_site(tmp_path) as site:
        await site.put_secret("a", "right")
        await site.put_secret("b", "right", uid="t")
        await site.put_secret("c", "other", uid="v")
        image = site.fake.offer_image("r.io/x:1")
        await site.ensure("r.io/x:1", secrets=["a"])
        await site.ensure("r.io/x:1", "Never", secrets=["b"])
        await site.put_secret("b", "rotated", uid="t")
        await site.ensure("r.io/x:1", "Never", secrets=["b"])
        with pytest.raises(ImageError):
            await site.ensure("r.io/x:1", "Never", secrets=["c"])
        record = site.records.records[image.id]
    assert [each.name for each in record.credentials["r.io/x"].secrets] == ["a", "b"]
    assert "rotated" not in str(record)


async def test_image_pulled_without_credentials_is_everybodys(tmp_path: Path) -> None:
    """It is public."""
    async with running_site(tmp_path) as site:
        site.fake.offer_image("r.io/x:1")
        await site.ensure("r.io/x:1")
        await site.ensure("r.io/x:1", "Never")
        assert len(site.fake.called("PullImage")) == 1


async def test_pull_of_a_killed_process_is_nobodys(tmp_path: Path) -> None:
    """Its credentials are lost, so that whoever wants the image shows its own."""
    async with running_site(tmp_path) as site:
        await site.records.add_intent("x:1")
        await site.records.add_intent("y:1")
        image = site.fake.add_image("docker.io/library/x:1")
        with pytest.raises(ImageError) as refused:
            await site.ensure(image.id.removeprefix("sha256:")[:12], "Never")
        with pytest.raises(ImageError) as never:
            await site.ensure("docker.io/library/x:1", "Never")
        site.fake.offer_image("docker.io/library/x:1")
        await site.ensure("docker.io/library/x:1")
        await site.ensure("docker.io/library/x:1", "Never")
        assert list(site.records.intents) == []
    assert refused.value.reason == never.value.reason == "ErrImageNeverPull"


async def test_failed_pull_leaves_no_intent(tmp_path: Path) -> None:
    """Nothing came, so nothing is to be guarded; an image that was always there stays usable."""
    async with running_site(tmp_path) as site:
        site.fake.add_image("x:1")
        with pytest.raises(ImageError):
            await site.ensure("x:1", "Always")
        await site.ensure("x:1", "Never")
        assert list(site.records.intents) == []


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
