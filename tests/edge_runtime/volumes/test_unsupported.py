"""What nobody here can mount is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edge_runtime.objects.pod import Pod
from edge_runtime.objects.volume import Volume
from edge_runtime.volumes.plugin import VolumeError
from edge_runtime.volumes.unsupported import UnsupportedPlugin

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ({"csi": {"driver": "disks.example.com"}}, "csi (driver disks.example.com)"),
        ({"awsElasticBlockStore": {"volumeID": "secret?"}}, "awsElasticBlockStore"),
        ({"flexVolume": {"driver": "a/b"}}, "flexVolume (driver a/b)"),
        ({"iscsi": {}}, "iscsi"),
    ],
)
async def test_kinds(source: dict[str, Any], kind: str, tmp_path: Path) -> None:
    """For good, with the driver's name where there is one."""
    volume = Volume({"name": "v", **source})
    with pytest.raises(VolumeError) as caught:
        await UnsupportedPlugin().set_up(Pod({}), volume, tmp_path)
    assert str(caught.value) == f"this edgelet does not support volumes of kind {kind}"
    assert caught.value.is_lasting
