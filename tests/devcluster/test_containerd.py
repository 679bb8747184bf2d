"""containerd's configuration and what it leaves."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from devcluster import containerd
from devcluster.layout import ClusterLayout, MachineLayout, SiteLayout
from tunnel.identity import SiteName


def site_layout(root: Path) -> SiteLayout:
    """Return the layout of a site."""
    return ClusterLayout(root=root, network="10.98.0").site(SiteName("site-a"), index=2)


@pytest.mark.parametrize("may_raise_priority", [True, False])
def test_config_names_no_path_of_another_containerd(*, may_raise_priority: bool) -> None:
    """Root, state, socket, runc root and CNI folder are the site's own."""
    site = site_layout(Path("/c"))
    document = tomllib.loads(
        containerd.config(
            site,
            snapshotter="native",
            may_raise_priority=may_raise_priority,
            cni_bin=Path("/usr/lib/cni"),
            runc=Path("/usr/sbin/runc"),
        )
    )
    cri = document["plugins"]["io.containerd.grpc.v1.cri"]
    runc = cri["containerd"]["runtimes"]["runc"]["options"]
    own = [document["root"], cri["cni"]["conf_dir"]]
    volatile = [document["state"], document["grpc"]["address"], runc["Root"]]
    assert all(path.startswith("/c/sites/site-a/") for path in own)
    assert all(path.startswith(f"{site.run}/") for path in volatile)
    assert cri["restrict_oom_score_adj"] is not may_raise_priority
    assert cri["containerd"]["snapshotter"] == "native"
    assert cri["sandbox_image"] == "registry.k8s.io/pause:3.6"
    assert cri["stream_server_address"] == "127.0.0.1"


def test_pods_get_addresses_of_the_sites_own_range() -> None:
    """The range and the record of what is given out belong to the site."""
    document = json.loads(containerd.network_config(site_layout(Path("/c"))))
    bridge = document["plugins"][0]
    assert len(bridge["bridge"]) <= 15
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.88.2.0/24"}]]
    assert bridge["ipam"]["dataDir"].startswith("/c/sites/site-a/")
    assert document["name"] == containerd.network_name(site_layout(Path("/c")))


def test_only_our_names_go_from_shared_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files of another containerd stay; ours go, those of `ctr run` too."""
    shared, cache, run = tmp_path / "shared", tmp_path / "cni", tmp_path / "run"
    monkeypatch.setattr(containerd, "SHARED_STATE", shared)
    monkeypatch.setattr(containerd, "CNI_CACHE", cache)
    monkeypatch.setattr(MachineLayout, "run", run)
    site = site_layout(tmp_path)
    name = containerd.network_name(site)
    ours = [
        shared / "s" / "aa",
        shared / "fifo" / "1" / "pod-stdin",
        shared / "runc" / "k8s.io" / "pod" / "state.json",
        cache / "results" / "cni-loopback-pod-lo",
        cache / "results" / f"{name}-pod-eth0",
        cache / "results" / f"{name}-gone-eth0",
    ]
    theirs = [
        shared / "s" / "bb",
        shared / "fifo" / "2" / "other-stdin",
        shared / "runc" / "k8s.io" / "other" / "state.json",
        cache / "results" / "other-eth0",
    ]
    for file in ours + theirs:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{run}/bundle")
    bundle = run / "containerd" / "io.containerd.runtime.v2.task" / "k8s.io" / "pod"
    bundle.mkdir(parents=True)
    (bundle / "address").write_text(f"unix://{shared}/s/aa")

    containerd.remove_shared_names(site)

    assert [file for file in ours if file.exists()] == []
    assert [file for file in theirs if not file.exists()] == []
    assert not (shared / "fifo" / "1").exists()
