"""Log folders and links: made, and removed without a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge_runtime.objects.container import ContainerID
from edge_runtime.objects.pod import Pod, PodUID
from edge_runtime.pods.pod_files import (
    link_log,
    make_log_folders,
    remove_log,
    remove_pod_logs,
)
from tests.fakes.edge_pods import pod_json
from tests.fakes.pod_settings import make_pod_settings

if TYPE_CHECKING:
    from pathlib import Path

    from edge_runtime.pods.pod_settings import PodSettings

POD = Pod(pod_json())
UID = PodUID("u")


@pytest.fixture
def settings(tmp_path: Path) -> PodSettings:
    """Folders of the test's own."""
    return make_pod_settings(tmp_path)


def _link(settings: PodSettings, container_id: str = "id", attempt: int = 0) -> None:
    link_log(settings, POD, "c", ContainerID(container_id), attempt=attempt)


def test_folders_and_links_are_as_a_kubelet_makes_them(settings: PodSettings) -> None:
    """Log collectors look for exactly these."""
    make_log_folders(settings, POD)
    make_log_folders(settings, POD)
    log = settings.pod_logs_dir / "ns_p_u" / "c" / "0.log"
    log.write_text("line")
    _link(settings)
    _link(settings)
    assert log.parent.parent.stat().st_mode & 0o777 == 0o755
    assert (settings.container_logs_dir / "p_ns_c-id.log").read_text() == "line"


def test_long_names_are_cut(settings: PodSettings) -> None:
    """A file name has at most 255 bytes."""
    make_log_folders(settings, POD)
    _link(settings, "x" * 300)
    (name,) = [each.name for each in settings.container_logs_dir.iterdir()]
    assert len(name) == 255
    assert name.endswith(".log")


def test_one_attempts_log_is_removed_with_its_link(settings: PodSettings) -> None:
    """The others stay."""
    make_log_folders(settings, POD)
    folder = settings.pod_logs_dir / "ns_p_u" / "c"
    for attempt in (0, 1):
        (folder / f"{attempt}.log").touch()
        _link(settings, f"id{attempt}", attempt)
    remove_log(settings, POD, "c", ContainerID("id0"), attempt=0)
    assert [each.name for each in folder.iterdir()] == ["1.log"]
    assert [each.name for each in settings.container_logs_dir.iterdir()] == ["p_ns_c-id1.log"]


def test_removal_takes_this_pods_logs_only(settings: PodSettings) -> None:
    """Another pod of the same name keeps its own; dangling links go too."""
    other = Pod(pod_json(uid="other"))
    for pod, container_id in ((POD, "id"), (other, "id2")):
        make_log_folders(settings, pod)
        link_log(settings, pod, "c", ContainerID(container_id), attempt=0)
    remove_pod_logs(settings, namespace="ns", name="p", uid=UID)
    remove_pod_logs(settings, namespace="ns", name="p", uid=UID)
    assert [each.name for each in settings.pod_logs_dir.iterdir()] == ["ns_p_other"]
    assert [each.name for each in settings.container_logs_dir.iterdir()] == ["p_ns_c-id2.log"]


def test_name_that_leads_elsewhere_removes_nothing(settings: PodSettings, tmp_path: Path) -> None:
    """Whatever came down, only folders of pods are made and removed."""
    other = tmp_path / "other"
    other.mkdir()
    (settings.pod_logs_dir / "ns_p_u").mkdir(parents=True)
    with pytest.raises(OSError, match="not a file name"):
        remove_pod_logs(settings, namespace="ns", name="p", uid=PodUID("u/../../other"))
    escaping = pod_json(containers=[{"name": "../../x", "image": "i"}])
    with pytest.raises(OSError, match="not a file name"):
        make_log_folders(settings, Pod(escaping))

    assert other.is_dir()
    assert not (tmp_path / "x").exists()
