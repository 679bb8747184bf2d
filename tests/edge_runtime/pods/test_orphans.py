"""What is left of pods that nobody wants goes; what may still be wanted stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.edge_pods import edge_pods, is_running, pod_json, until
from tests.fakes.fake_cri import FakeCri

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.edge_pods import EdgePods


def leave_behind(edge: EdgePods, uid: str) -> tuple[Path, Path]:
    """Make the folders of a pod that an earlier process ran."""
    own = edge.settings.pods_dir / uid / "containers" / "c"
    logs = edge.settings.pod_logs_dir / f"ns_old_{uid}" / "c"
    for folder in (own, logs):
        folder.mkdir(parents=True)
        (folder / "file").touch()
    return own.parent.parent, logs.parent


async def test_folders_of_unknown_pods_go_once_all_pods_are_known(tmp_path: Path) -> None:
    """Absence alone proves nothing; a pod that runs keeps its own, and so has what is no pod's."""
    async with FakeCri(tmp_path) as cri, edge_pods(tmp_path, cri) as edge:
        cri.add_image("busybox:1")
        await edge.put(pod_json())
        await edge.status("u", is_running)
        left = leave_behind(edge, "left-behind")
        foreign = edge.settings.pod_logs_dir / "not a pod's"
        foreign.mkdir()
        orphans = edge.manager.orphans
        await orphans.remove_folders()
        assert all(folder.exists() for folder in left)
        await edge.manager.desired(["u"])  # type: ignore[list-item]
        await orphans.remove_folders()
        assert not any(folder.exists() for folder in left)
        assert foreign.exists()
        assert (edge.settings.pod_logs_dir / "ns_p_u" / "c" / "0.log").exists()


async def test_pod_of_the_runtime_that_nobody_wants_goes(tmp_path: Path) -> None:
    """With its folders."""
    async with FakeCri(tmp_path) as cri:
        cri.add_image("busybox:1")
        async with edge_pods(tmp_path, cri) as edge:
            await edge.put(pod_json())
            await edge.status("u", is_running)
        (tmp_path / "edgelet.db").unlink()
        async with edge_pods(tmp_path, cri) as edge:
            await edge.first_relist()
            await edge.manager.desired([])
            await edge.manager.orphans.remove_all()
            await until(lambda: not cri.sandboxes)
            assert not (edge.settings.pod_logs_dir / "ns_p_u").exists()
