"""Scratch space: on disk, in memory, in huge pages; made once, whole, and for everybody."""

from __future__ import annotations

import os
import stat
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.volume import Volume
from edge_runtime.volumes.empty_dir import EmptyDirPlugin, huge_page_bytes, memory_size_bytes
from edge_runtime.volumes.mount_syscalls import read_mounts, unmount
from edge_runtime.volumes.mount_table import mount_at
from edge_runtime.volumes.plugin import VolumeError

if TYPE_CHECKING:
    from pathlib import Path

ALLOCATABLE = {"memory": Fraction(1 << 30)}
PLUGIN = EmptyDirPlugin(lambda: ALLOCATABLE)


def pod_of(*limits: dict[str, str], **spec: Any) -> Pod:  # noqa: ANN401  # a pod's own fields
    """A pod with a container for each of these limits."""
    containers = [
        {"name": f"c{number}", "resources": {"limits": each, "requests": each}}
        for number, each in enumerate(limits)
    ]
    return Pod({"metadata": {"uid": "u", "name": "p"}, "spec": {"containers": containers, **spec}})


def volume_of(**source: str) -> Volume:
    """A volume of this source."""
    return Volume({"name": "scratch", "emptyDir": source})


def mode_of(folder: Path) -> int:
    """Its permissions."""
    return stat.S_IMODE(folder.stat().st_mode)


async def test_a_folder_for_everybody(tmp_path: Path) -> None:
    """Whatever user the containers have, and whatever the process's umask is."""
    folder = tmp_path / "scratch"
    found = await PLUGIN.set_up(pod_of({}), volume_of(), folder)
    assert found.host_path == str(folder)
    assert not found.read_only
    assert mode_of(folder) == 0o777


async def test_what_is_in_it_stays(tmp_path: Path) -> None:
    """Contents and mode are the pod's from then on, also after a restart of edge or machine."""
    folder = tmp_path / "scratch"
    await PLUGIN.set_up(pod_of({}), volume_of(), folder)
    (folder / "file").write_text("mine")
    folder.chmod(0o700)
    await PLUGIN.set_up(pod_of({}), volume_of(), folder)
    assert (folder / "file").read_text() == "mine"
    assert mode_of(folder) == 0o700


async def test_what_a_crash_left_half_made_is_made_anew(tmp_path: Path) -> None:
    """A folder of the wrong mode is never taken for one that the pod changed."""
    (tmp_path / ".scratch.new").mkdir(mode=0o700)
    await PLUGIN.set_up(pod_of({}), volume_of(), tmp_path / "scratch")
    assert mode_of(tmp_path / "scratch") == 0o777
    assert os.listdir(tmp_path) == ["scratch"]


async def test_a_file_in_its_place_is_told(tmp_path: Path) -> None:
    """Nothing is removed that is not ours to remove."""
    (tmp_path / "scratch").write_text("a file")
    with pytest.raises(OSError, match="Not a directory"):
        await PLUGIN.set_up(pod_of({}), volume_of(), tmp_path / "scratch")
    assert (tmp_path / "scratch").read_text() == "a file"


async def test_the_pods_group_gets_it(mountable: Path) -> None:
    """On disk and in memory, at once with the folder itself."""
    pod = pod_of({}, securityContext={"fsGroup": 4711})
    for name, source in {"disk": {}, "memory": {"medium": "Memory"}}.items():
        await PLUGIN.set_up(pod, volume_of(**source), mountable / name)
        found = (mountable / name).stat()
        assert found.st_gid == 4711
        assert found.st_mode & 0o2770 == 0o2770


async def test_memory_is_bounded_by_the_kernel(mountable: Path) -> None:
    """More than the limit does not fit, and it is mounted once only."""
    folder = mountable / "scratch"
    volume = volume_of(medium="Memory", sizeLimit="1Mi")
    for _ in range(2):
        await PLUGIN.set_up(pod_of({}), volume, folder)
    found = mount_at(read_mounts(), str(folder))
    assert found is not None
    assert found.fs_type == "tmpfs"
    assert mode_of(folder) == 0o1777
    with pytest.raises(OSError, match="No space left"):
        (folder / "big").write_bytes(b"x" * (2 << 20))
    unmount(folder)
    assert mount_at(read_mounts(), str(folder)) is None, "it was mounted twice"


async def test_memory_is_there_again_after_a_reboot(mountable: Path) -> None:
    """The folder is left, what was mounted is not."""
    folder = mountable / "scratch"
    await PLUGIN.set_up(pod_of({}), volume_of(medium="Memory"), folder)
    (folder / "file").write_text("lost")
    unmount(folder)
    await PLUGIN.set_up(pod_of({}), volume_of(medium="Memory"), folder)
    assert mount_at(read_mounts(), str(folder)) is not None
    assert list(folder.iterdir()) == []


async def test_huge_pages(mountable: Path) -> None:
    """Pages of the size that the medium names."""
    folder = mountable / "scratch"
    pod = pod_of({"hugepages-2Mi": "4Mi"})
    await PLUGIN.set_up(pod, volume_of(medium="HugePages-2Mi"), folder)
    found = mount_at(read_mounts(), str(folder))
    assert found is not None
    assert found.fs_type == "hugetlbfs"
    assert "pagesize=2M" in found.super_options


@pytest.mark.parametrize(
    ("medium", "limits", "expected"),
    [
        ("HugePages", [{"hugepages-2Mi": "4Mi"}], 2 << 20),
        ("HugePages-1Gi", [{"hugepages-2Mi": "4Mi"}, {"hugepages-1Gi": "1Gi"}], 1 << 30),
    ],
)
def test_size_of_huge_pages(medium: str, limits: list[dict[str, str]], expected: int) -> None:
    """What the medium names, else what the containers ask for."""
    assert huge_page_bytes(pod_of(*limits), medium) == expected


@pytest.mark.parametrize(
    ("medium", "limits", "message"),
    [
        ("HugePages", [{}], "there is no resource request for huge pages"),
        ("HugePages-1Gi", [{"hugepages-2Mi": "4Mi"}], "there is no resource request"),
        ("HugePages", [{"hugepages-2Mi": "4Mi", "hugepages-1Gi": "1Gi"}], "multiple huge page"),
    ],
)
def test_huge_pages_that_nobody_asked_for(
    medium: str, limits: list[dict[str, str]], message: str
) -> None:
    """Or of more sizes than one can have."""
    with pytest.raises(VolumeError, match=message):
        huge_page_bytes(pod_of(*limits), medium)


async def test_an_unknown_medium(tmp_path: Path) -> None:
    """It is refused for good."""
    with pytest.raises(VolumeError, match='unknown storage medium "Tape"') as caught:
        await PLUGIN.set_up(pod_of({}), volume_of(medium="Tape"), tmp_path / "scratch")
    assert caught.value.is_lasting


@pytest.mark.parametrize(
    ("limits", "source", "expected"),
    [
        ([{}], {}, 1 << 30),
        ([{"memory": "64Mi"}], {}, 64 << 20),
        ([{"memory": "64Mi"}, {}], {}, 1 << 30),
        ([{"memory": "64Mi"}, {"memory": "64Mi"}], {}, 128 << 20),
        ([{"memory": "64Mi"}], {"sizeLimit": "1Mi"}, 1 << 20),
        ([{"memory": "64Mi"}], {"sizeLimit": "1Gi"}, 64 << 20),
        ([{"memory": "8Gi"}], {"sizeLimit": "4Gi"}, 1 << 30),
        ([{}], {"sizeLimit": "0"}, 1 << 30),
    ],
)
def test_how_much_memory(
    limits: list[dict[str, str]], source: dict[str, str], expected: int
) -> None:
    """The least of its own limit, the pod's, where all containers have one, and the machine's."""
    volume = volume_of(medium="Memory", **source)
    assert memory_size_bytes(pod_of(*limits), volume, allocatable=ALLOCATABLE) == expected


async def test_a_limit_that_is_none(tmp_path: Path) -> None:
    """It is told as it is."""
    volume = volume_of(medium="Memory", sizeLimit="much")
    with pytest.raises(VolumeError, match="much"):
        await PLUGIN.set_up(pod_of({}), volume, tmp_path / "scratch")
