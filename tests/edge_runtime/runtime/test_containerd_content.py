"""What containerd says that it downloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.runtime.containerd_content import ContainerdContent
from edge_runtime.runtime.cri_channel import CriChannel
from edge_runtime.runtime.errors import Unimplemented
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from pathlib import Path


async def test_blobs_that_are_written(tmp_path: Path) -> None:
    """By their names, with what there is of them."""
    async with FakeCri(tmp_path, is_containerd=True) as fake:
        channel = CriChannel(fake.endpoint)
        assert await ContainerdContent(channel).ingests() == {}
        fake.ingests = {"layer-sha256:1": 7, "config-sha256:2": 0}
        assert await ContainerdContent(channel).ingests() == fake.ingests
        await channel.close()


async def test_another_runtime_does_not_tell(tmp_path: Path) -> None:
    """CRI has no such call."""
    async with FakeCri(tmp_path) as fake:
        channel = CriChannel(fake.endpoint)
        with pytest.raises(Unimplemented):
            await ContainerdContent(channel).ingests()
        await channel.close()
