"""A folder in which tests mount."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from edge_runtime.volumes import path_resolution
from edge_runtime.volumes.mount_syscalls import MountFlag, mount, unmount_below

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def mountable(tmp_path: Path) -> Iterator[Path]:
    """A folder with a shared mount of its own, as a site's root folder is; all below is undone."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount")
    folder = tmp_path / "mountable"
    folder.mkdir()
    mount(folder, source="tests", fs_type="tmpfs", data="size=64m")
    try:
        mount(folder, flags=MountFlag.SHARED)
        yield folder
    finally:
        unmount_below(folder)


@pytest.fixture(params=["openat2", "before 5.6"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run on this kernel, and as on one that has no openat2."""
    if request.param != "openat2":

        def refuse(*_: object, **__: object) -> int:
            raise OSError(errno.ENOSYS, "Function not implemented")

        monkeypatch.setattr(path_resolution, "open_at", refuse)
    return str(request.param)
