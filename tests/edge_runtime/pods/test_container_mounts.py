"""What a container mounts of volumes: what its spec says, as far as the runtime can do it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.images.image_manager import ImageError
from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.objects.runtime_config import (
    Mount,
    MountedImage,
    MountPropagation,
    ResolvedImage,
)
from edge_runtime.objects.runtime_info import RuntimeHandler, RuntimeStatus
from edge_runtime.objects.volume import MountedVolume
from edge_runtime.pods.container_mounts import ContainerMounts, MountProblem
from edge_runtime.runtime.cri_config import sandbox_config
from edge_runtime.runtime.errors import Unavailable
from edge_runtime.volumes.mount_syscalls import MountFlag, mount, read_mounts, unmount_below
from edge_runtime.volumes.mount_table import mounts_below
from tests.fakes.pod_settings import make_pod_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from edge_runtime.objects.container import Container
    from edge_runtime.objects.runtime_config import SandboxConfig

UID = PodUID("uid-1")


class Volumes:
    """A pod's volumes."""

    def __init__(self, *volumes: MountedVolume) -> None:
        self._volumes = {each.name: each for each in volumes}

    def mounted(self, uid: PodUID) -> Mapping[str, MountedVolume]:
        """Return them."""
        return self._volumes if uid == UID else {}


class Runtime:
    """A runtime with images, whose handlers can do something; "gone" does not answer."""

    def __init__(self, *recursive: str, is_gone: bool = False) -> None:
        self._recursive = recursive
        self._is_gone = is_gone
        self.wanted: list[Container] = []

    async def status(self) -> RuntimeStatus:
        """Return what the handlers can do."""
        if self._is_gone:
            raise Unavailable(method="Status", message="no runtime")
        names = ("", "kata", *self._recursive)
        return RuntimeStatus(
            handlers=tuple(
                RuntimeHandler(name=each, recursive_read_only_mounts=each in self._recursive)
                for each in names
            )
        )

    async def ensure_image(
        self, pod: Pod, container: Container, *, sandbox: SandboxConfig | None = None
    ) -> ResolvedImage:
        """Have every image but one."""
        del pod, sandbox
        self.wanted.append(container)
        if container.image == "gone:v1":
            raise ImageError(reason="ErrImagePull", message="not found")
        return ResolvedImage(ref=f"sha256:{container.image}")


async def mounts_of(
    *mounts: dict[str, Any],
    volumes: Volumes,
    pods_dir: Path = Path("/nonexistent"),
    runtime: Runtime | None = None,
    env: Mapping[str, str] | None = None,
    handler: str = "",
    has_selinux: bool = False,
    spec_volumes: list[dict[str, Any]] | None = None,
) -> tuple[Mount, ...]:
    """Ask for one container's mounts."""
    containers = [{"name": "app", "image": "app", "volumeMounts": list(mounts)}]
    pod = Pod(
        {
            "metadata": {"uid": UID, "name": "p", "namespace": "ns"},
            "spec": {"containers": containers, "volumes": spec_volumes or []},
        }
    )
    runtime = runtime or Runtime()
    sandbox = sandbox_config(
        pod,
        attempt=0,
        pod_logs_dir="/logs",
        cgroup_parent="/g",
        machine=make_pod_settings(Path("/nonexistent")).machine,
        runtime_handler=handler,
    )
    made = ContainerMounts(
        volumes, images=runtime, runtime=runtime, pods_dir=pods_dir, has_selinux=has_selinux
    )
    return await made.mounts(pod, pod.containers[0], env=env or {}, sandbox=sandbox)


HOST = MountedVolume(name="data", host_path="/v/data")


async def test_a_whole_volume() -> None:
    """As the spec has it, in its order."""
    found = await mounts_of(
        {"name": "data", "mountPath": "/data"},
        {"name": "data", "mountPath": "relative/path", "readOnly": True},
        volumes=Volumes(HOST),
    )
    assert found == (
        Mount(container_path="/data", host_path="/v/data"),
        Mount(container_path="/relative/path", host_path="/v/data", readonly=True),
    )


async def test_a_volume_that_is_only_read() -> None:
    """Whatever the mount says."""
    volume = MountedVolume(name="data", host_path="/v/data", read_only=True)
    [found] = await mounts_of({"name": "data", "mountPath": "/d"}, volumes=Volumes(volume))
    assert found.readonly


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (None, MountPropagation.PRIVATE),
        ("None", MountPropagation.PRIVATE),
        ("HostToContainer", MountPropagation.HOST_TO_CONTAINER),
        ("Bidirectional", MountPropagation.BIDIRECTIONAL),
    ],
)
async def test_propagation(mode: str | None, expected: MountPropagation) -> None:
    """Of mounts that are made later."""
    mount_json = {"name": "data", "mountPath": "/d", "mountPropagation": mode}
    [found] = await mounts_of(mount_json, volumes=Volumes(HOST))
    assert found.propagation is expected


@pytest.mark.parametrize(
    ("relabels", "has_selinux", "expected"),
    [(True, True, True), (True, False, False), (False, True, False)],
)
async def test_labels(relabels: bool, has_selinux: bool, expected: bool) -> None:
    """Only the pod's own volumes get its label, only where there are labels."""
    volume = MountedVolume(name="data", host_path="/v", relabels=relabels)
    [found] = await mounts_of(
        {"name": "data", "mountPath": "/d"}, volumes=Volumes(volume), has_selinux=has_selinux
    )
    assert found.selinux_relabel is expected


NOT = 'failed to resolve recursive read-only mode: volume "data" requested recursive read-only'


@pytest.mark.parametrize(
    ("fields", "handler", "expected"),
    [
        ({}, "new", False),
        ({"recursiveReadOnly": "Disabled", "readOnly": True}, "new", False),
        ({"recursiveReadOnly": "IfPossible", "readOnly": True}, "new", True),
        ({"recursiveReadOnly": "IfPossible", "readOnly": True}, "kata", False),
        ({"recursiveReadOnly": "IfPossible", "readOnly": True}, "unknown", False),
        ({"recursiveReadOnly": "Enabled", "readOnly": True}, "new", True),
        (
            {"recursiveReadOnly": "Enabled", "readOnly": True},
            "kata",
            f"{NOT} mode, but it is not supported by the runtime",
        ),
        ({"recursiveReadOnly": "Enabled"}, "new", f"{NOT} mode, but it is not read-only"),
        (
            {
                "recursiveReadOnly": "IfPossible",
                "readOnly": True,
                "mountPropagation": "HostToContainer",
            },
            "new",
            f'{NOT} mode, but it is not compatible with propagation "HostToContainer"',
        ),
        (
            {"recursiveReadOnly": "Perhaps", "readOnly": True},
            "new",
            "failed to resolve recursive read-only mode: unknown recursive read-only mode"
            ' "Perhaps"',
        ),
    ],
)
async def test_recursively_read_only(
    fields: dict[str, Any], handler: str, expected: bool | str
) -> None:
    """By the handler of the pod's own RuntimeClass."""
    wanted = {"name": "data", "mountPath": "/d", **fields}
    asked = {"volumes": Volumes(HOST), "runtime": Runtime("new"), "handler": handler}
    if isinstance(expected, bool):
        [found] = await mounts_of(wanted, **asked)  # type: ignore[arg-type]  # as above
        assert found.recursive_read_only is expected
        return
    with pytest.raises(MountProblem) as caught:
        await mounts_of(wanted, **asked)  # type: ignore[arg-type]  # as above
    assert str(caught.value) == expected


async def test_a_runtime_that_does_not_answer() -> None:
    """The container waits with the reason, and is tried again."""
    wanted = {"name": "data", "mountPath": "/d", "readOnly": True, "recursiveReadOnly": "Enabled"}
    with pytest.raises(MountProblem, match="no runtime"):
        await mounts_of(wanted, volumes=Volumes(HOST), runtime=Runtime(is_gone=True))


async def test_a_volume_that_is_not_there() -> None:
    """The API server lets none through."""
    with pytest.raises(MountProblem) as caught:
        await mounts_of({"name": "other", "mountPath": "/d"}, volumes=Volumes(HOST))
    assert str(caught.value) == 'cannot find volume "other" to mount into container "app"'


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"subPath": "/etc"}, "error SubPath `/etc` must not be an absolute path"),
        (
            {"subPath": "a/../../b"},
            "unable to provision SubPath `a/../../b`: must not contain '..'",
        ),
        ({"subPathExpr": "$(UP)/x"}, "unable to provision SubPath `../x`: must not contain '..'"),
        ({"subPathExpr": "$(ROOT)"}, "error SubPath `/` must not be an absolute path"),
        ({"subPathExpr": "$(B)/$(A)/$(EMPTY)"}, "missing value for A, B, EMPTY"),
        ({"subPath": "a\0b"}, "unable to provision SubPath `'a\\x00b'`: must not contain NUL"),
        ({"mountPropagation": "Sideways"}, 'invalid MountPropagation mode: "Sideways"'),
    ],
)
async def test_what_makes_no_sense(fields: dict[str, Any], message: str) -> None:
    """Told before anything is mounted."""
    env = {"UP": "..", "ROOT": "/", "EMPTY": ""}
    with pytest.raises(MountProblem) as caught:
        await mounts_of(
            {"name": "data", "mountPath": "/d", **fields}, volumes=Volumes(HOST), env=env
        )
    assert str(caught.value) == message


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Path]:
    """A folder with a mount of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    mount(tmp_path, source="tests", fs_type="tmpfs")
    try:
        mount(tmp_path, flags=MountFlag.SHARED)
        yield tmp_path
    finally:
        unmount_below(tmp_path)


async def test_parts(machine: Path) -> None:
    """Each has a place of its own, the same at every start, whatever volume it is of."""
    data = machine / "data"
    data.mkdir()
    (data / "file").write_text("hello")
    volumes = Volumes(MountedVolume(name="data", host_path=str(data)))
    wanted: list[dict[str, Any]] = [
        {"name": "data", "mountPath": "/all"},
        {"name": "data", "mountPath": "/file", "subPath": "file"},
        {"name": "data", "mountPath": "/mine", "subPathExpr": "logs/$(NAME)/$$(x)"},
        {"name": "data", "mountPath": "/same", "subPath": "./logs//me/"},
    ]
    for _ in range(2):
        found = await mounts_of(
            *wanted, volumes=volumes, pods_dir=machine / "pods", env={"NAME": "me"}
        )
    places = machine / "pods" / UID / "volume-subpaths" / "data" / "app"
    assert [each.host_path for each in found] == [str(data), *(f"{places}/{n}" for n in (1, 2, 3))]
    assert Path(found[1].host_path).read_text() == "hello"  # noqa: ASYNC240
    assert (data / "logs" / "me" / "$(x)").is_dir()
    assert os.listdir(found[3].host_path) == ["$(x)"]
    assert len(mounts_below(read_mounts(), str(places))) == 3


@pytest.mark.parametrize(
    ("subpath", "message"),
    [
        ("link/key", 'failed to prepare subPath for volumeMount "data" of container "app"'),
        ("link/new", 'failed to prepare subPath for volumeMount "data" of container "app"'),
        ("gone", 'failed to create subPath directory for volumeMount "data" of container "app"'),
        ("file/x", 'failed to prepare subPath for volumeMount "data" of container "app"'),
    ],
)
async def test_refused_parts(machine: Path, subpath: str, message: str) -> None:
    """The message tells nothing of the machine's files."""
    data, secret = machine / "data", machine / "secret"
    data.mkdir()
    secret.mkdir()
    (secret / "key").write_text("")
    (data / "link").symlink_to(secret)
    (data / "gone").symlink_to("nowhere")
    (data / "file").write_text("")
    volumes = Volumes(MountedVolume(name="data", host_path=str(data)))
    with pytest.raises(MountProblem) as caught:
        await mounts_of(
            {"name": "data", "mountPath": "/d", "subPath": subpath},
            volumes=volumes,
            pods_dir=machine / "pods",
        )
    assert str(caught.value) == message
    assert os.listdir(secret) == ["key"]


IMAGE = MountedVolume(name="models", host_path="", read_only=True, image_ref="models:v1")


async def test_images() -> None:
    """Pulled by the volume's own policy, and mounted by what was resolved."""
    runtime = Runtime()
    [found] = await mounts_of(
        {"name": "models", "mountPath": "/m", "subPath": "a/b"},
        volumes=Volumes(IMAGE),
        runtime=runtime,
        handler="kata",
        spec_volumes=[
            {"name": "models", "image": {"reference": "models:v1", "pullPolicy": "Always"}}
        ],
    )
    assert found == Mount(
        container_path="/m",
        host_path="",
        readonly=True,
        image=MountedImage(
            ref="sha256:models:v1",
            user_specified_image="models:v1",
            runtime_handler="kata",
            sub_path="a/b",
        ),
    )
    assert [each.image_pull_policy for each in runtime.wanted] == ["Always"]


async def test_an_image_that_is_not_to_be_had() -> None:
    """Its reason becomes the container's."""
    volume = MountedVolume(name="models", host_path="", image_ref="gone:v1")
    with pytest.raises(ImageError, match="not found"):
        await mounts_of(
            {"name": "models", "mountPath": "/m"},
            volumes=Volumes(volume),
            spec_volumes=[{"name": "models", "image": {"reference": "gone:v1"}}],
        )
