"""Log files and their folders are opened safely."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from edge_runtime.logs.descriptor import (
    LogNotFound,
    LogReadError,
    open_log_file,
    open_log_folder,
)

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log where the runtime writes it: below a pod's and a container's folder."""
    path = tmp_path / "pods/ns_pod_uid/main/0.log"
    path.parent.mkdir(parents=True)
    path.write_text("x")
    return path


def opened(log: Path) -> bytes:
    """Open and read it."""
    with (
        closing(open_log_folder(str(log))) as folder,
        closing(open_log_file(folder, str(log))) as file,
        file.lend() as fd,
    ):
        return os.pread(fd, 9, 0)


def test_the_logs_folder_may_be_elsewhere(log: Path, tmp_path: Path) -> None:
    """The machine's own folder may be a link: whoever owns the machine made it."""
    link = tmp_path / "var-log-pods"
    link.symlink_to(tmp_path / "pods")
    assert opened(link / "ns_pod_uid/main/0.log") == b"x"
    assert opened(log) == b"x"


@pytest.mark.parametrize("name", ["pods/ns_pod_uid", "pods/ns_pod_uid/main"])
def test_a_pods_folder_is_no_link(log: Path, tmp_path: Path, name: str) -> None:
    """A pod that can write there must not lead us to another pod's logs."""
    folder = tmp_path / name
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(LogReadError):
        opened(log)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("level", [0, 1, 2])
def test_what_belongs_to_others_is_refused(log: Path, level: int) -> None:
    """File, container's folder, pod's folder."""
    os.chown((log, log.parent, log.parent.parent)[level], 1234, 1234)
    with pytest.raises(LogReadError, match="it belongs to another user"):
        opened(log)


def test_what_is_not_there_has_an_error_of_its_own(log: Path) -> None:
    """Rotation goes on while we look."""
    for path in (log.with_name("1.log"), log.parent / "none/0.log"):
        with pytest.raises(LogNotFound, match="No such file"):
            opened(path)


def test_a_descriptor_is_closed_by_its_last_user(log: Path) -> None:
    """Its number MUST NOT be another file's while a thread reads."""
    folder = open_log_folder(str(log))
    with folder.lend() as fd:
        folder.close()
        assert os.listdir(fd) == ["0.log"]
    with pytest.raises(LogReadError, match="closed"), folder.lend():
        pass
