"""The real kubelet's configuration and what its private mount namespace hides."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from devcluster import cloud_node
from devcluster.cluster_pki import ensure_cluster_pki
from devcluster.layout import CloudNodeLayout, ClusterLayout
from devcluster.requirements import CAP_SYS_ADMIN, has_capability


def layout(root: Path) -> CloudNodeLayout:
    """Return the layout of a cluster's kubelet machine."""
    return ClusterLayout(root=root, network="10.98.0").cloud_node


def test_every_place_is_the_machines_own(tmp_path: Path) -> None:
    """No path of the configuration or the command line is one that another kubelet would use."""
    node = layout(tmp_path)
    authority = ensure_cluster_pki(node.cluster).authority
    document = cloud_node.config(node, authority=authority, serving=authority)
    assert f"unix://{node.run}/" in str(document["containerRuntimeEndpoint"])
    for field in ("podLogsDir", "volumePluginDir"):
        assert str(document[field]).startswith(f"{node.root}/")
    assert node.cluster.identity in str(document["cgroupRoot"])
    flags = [a for a in cloud_node.command(node) if a.startswith("--") and "-dir=" in a]
    assert len(flags) == 2
    assert all(f"={node.root}/" in flag for flag in flags)


def test_a_machine_without_rights_over_scores_and_with_cgroup_v1_is_enough(tmp_path: Path) -> None:
    """What a kubelet would refuse to start with is switched off, and nothing else of its own."""
    node = layout(tmp_path)
    authority = ensure_cluster_pki(node.cluster).authority
    document = cloud_node.config(node, authority=authority, serving=authority)
    assert document["failCgroupV1"] is False
    assert document["oomScoreAdj"] == 0
    assert document["cgroupDriver"] == "cgroupfs"
    assert json.loads(json.dumps(document)) == document


@pytest.mark.skipif(not has_capability(CAP_SYS_ADMIN), reason="needs CAP_SYS_ADMIN to mount")
def test_compiled_in_folders_are_hidden_from_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written to them lands below the machine's root folder; no mount is seen outside."""
    place = tmp_path / "compiled-in"
    place.mkdir()
    node = layout(tmp_path / "cluster")
    own = Path(f"{node.root}/own{place}")
    own.mkdir(parents=True)
    monkeypatch.setattr(cloud_node, "COMPILED_IN", (place,))
    line = cloud_node.command(node)
    separator = line.index("--", line.index("kubelet"))
    script = ["sh", "-c", f"touch {place}/written"]
    command = [*line[line.index("unshare") : separator + 1], *script]
    subprocess.run(command, check=True, timeout=20)
    assert [file.name for file in own.iterdir()] == ["written"]
    assert list(place.iterdir()) == []
