"""Image volumes: only where the runtime knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.runtime_info import RuntimeVersion
from edge_runtime.objects.volume import MountedVolume, Volume
from edge_runtime.runtime.errors import Unavailable
from edge_runtime.volumes.image_volume import ImageVolumePlugin
from edge_runtime.volumes.plugin import VolumeError

if TYPE_CHECKING:
    from pathlib import Path

VOLUME = Volume({"name": "models", "image": {"reference": "models:v1"}})


class Runtime:
    """A runtime of some version."""

    def __init__(self, name: str, version: str) -> None:
        self._version = RuntimeVersion(name=name, version=version, api_version="v1")

    async def version(self) -> RuntimeVersion:
        """Return it."""
        return self._version


class GoneRuntime:
    """A runtime that does not answer."""

    async def version(self) -> RuntimeVersion:
        """Fail."""
        raise Unavailable(method="Version", message="no runtime")


def pod_of(**mount: str) -> Pod:
    """A pod that mounts the image so."""
    mounts = [{"name": "models", "mountPath": "/models", **mount}]
    spec: dict[str, Any] = {"containers": [{"name": "c", "volumeMounts": mounts}]}
    return Pod({"metadata": {"uid": "u"}, "spec": spec})


@pytest.mark.parametrize(
    ("name", "version", "whole", "parts"),
    [
        ("containerd", "1.6.20~ds1", False, False),
        ("containerd", "v2.0.5", False, False),
        ("containerd", "v2.1.0-beta.0-18-g8237c496", True, False),
        ("containerd", "2.2.2+bottlerocket", True, True),
        ("containerd", "v10.0.0", True, True),
        ("cri-o", "1.30.4", False, False),
        ("cri-o", "1.31.0", True, False),
        ("cri-o", "1.33.1", True, True),
        ("cri-dockerd", "99.0", False, False),
        ("containerd", "unknown", False, False),
    ],
)
async def test_versions(name: str, version: str, whole: bool, parts: bool, tmp_path: Path) -> None:
    """An older one would mount nothing, or all of an image instead of a part."""
    plugin = ImageVolumePlugin(Runtime(name, version))
    for pod, is_able, what in (
        (pod_of(), whole, "image volumes"),
        (pod_of(subPath="a"), parts, "subPath of image volumes" if whole else "image volumes"),
        (pod_of(subPathExpr="$(A)"), parts, None),
    ):
        if is_able:
            assert await plugin.set_up(pod, VOLUME, tmp_path) == MountedVolume(
                name="models", host_path="", read_only=True, image_ref="models:v1", relabels=False
            )
            continue
        with pytest.raises(VolumeError) as caught:
            await plugin.set_up(pod, VOLUME, tmp_path)
        assert caught.value.is_lasting
        if what:
            assert str(caught.value) == f"{name} {version} does not support {what}"


async def test_a_runtime_that_does_not_answer(tmp_path: Path) -> None:
    """It is asked again."""
    with pytest.raises(VolumeError, match="no runtime") as caught:
        await ImageVolumePlugin(GoneRuntime()).set_up(pod_of(), VOLUME, tmp_path)
    assert not caught.value.is_lasting
